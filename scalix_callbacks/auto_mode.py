"""Auto mode in one worker: what calls show of models goes to all workers, and their knowledge chooses.

Nothing of it waits for a call, and no call for it: calls leave what they show in memory, and choose by what
was heard last. In the background it is told and heard about once a second while auto mode is in use, less
often while other calls end, and not at all while nothing happens.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Protocol

from scalix_callbacks.core.auto import AutoModels, Candidate, Choice, blended_usd_per_1m, choose
from scalix_callbacks.core.budget import with_usd
from scalix_callbacks.core.call import Call
from scalix_callbacks.core.errors import OF_MODELS, ErrorCategory
from scalix_callbacks.core.limits import counters_of
from scalix_callbacks.core.model_health import RETRY_PASSED_OVER_S, ModelHealth, Seen, after
from scalix_callbacks.core.pricing import PriceTable
from scalix_callbacks.core.record import Outcome
from scalix_callbacks.core.refusal import unpriced
from scalix_callbacks.core.tiers import DAY_S, Tier
from scalix_callbacks.store.errors import StoreLost

POLL_S = 1.0
IN_USE_S = 10.0
"""So long after a call of auto mode the others are listened to every `POLL_S`."""
TELL_S = 5.0
"""How often what calls show is told while nobody uses auto mode."""
HUNG_S = 10.0
"""A client that leaves a stream which long has not begun says something of its model."""
MAX_REMEMBERED = 1_000
"""Candidates by plan, key and day."""

_log = logging.getLogger("scalix.auto")


class Board(Protocol):
    """What all workers know of models; raises StoreLost when it cannot be asked."""

    async def share(self, seen: Mapping[str, Seen]) -> tuple[float, dict[str, ModelHealth]]: ...


class AutoMode:
    """Chooses models, and learns from every call that ends.

    Args:
        board: None: this worker is alone.
        prices: what users pay.
        now_s: the clock, Unix time.
        elapsed: seconds that only grow.
    """

    def __init__(
        self,
        models: AutoModels,
        board: Board | None,
        prices: PriceTable | None = None,
        *,
        now_s: Callable[[], float] = time.time,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._models = models
        self._board = board
        self._prices = prices or PriceTable()
        self._candidates = lru_cache(maxsize=MAX_REMEMBERED)(self._find)
        self._watched: Collection[str] = frozenset(candidate.name for candidate in models.candidates)
        self._now_s, self._elapsed = now_s, elapsed
        self._health: Mapping[str, ModelHealth] = {}
        self._seen: dict[str, Seen] = {}
        self._ahead_s = 0.0  # of the board's clock before ours
        self._tried: dict[str, tuple[float, float]] = {}  # model → what was known then, and when that was
        self._asked_at: float | None = None
        self._has_work = asyncio.Event()
        self._in_use = asyncio.Event()

    @property
    def health(self) -> Mapping[str, ModelHealth]:
        """What was heard last; replaced as a whole, never changed."""
        return self._health

    def choose(
        self,
        name: str,
        tier: Tier | None,
        narrowed_to: tuple[str, ...] | None,
        *,
        prompt_tokens: int,
        is_stream: bool,
        at_s: float,
    ) -> Choice:
        """As `core.auto.choose`, among the models of a caller; a model that is due is tried by one call.

        Args:
            at_s: when the call arrived, by whose prices it goes.

        Raises:
            GatewayError: none of them can be chosen.
        """
        candidates = self._candidates(name, tier, narrowed_to, int(at_s // DAY_S))
        self._asked_at = self._elapsed()
        self._has_work.set()
        self._in_use.set()
        choice = choose(
            name,
            candidates,
            self._health,
            prompt_tokens=prompt_tokens,
            is_stream=is_stream,
            now_s=self._now_s() + self._ahead_s,
            weights=self._models.weights,
            may_try=[candidate.name for candidate in candidates if self._may_try(candidate.name)],
        )
        if choice.tries is not None:
            self._tried[choice.tries] = (self._tells(choice.tries), self._elapsed())
        return choice

    def ended(
        self, call: Call, outcome: Outcome, *, category: ErrorCategory | None, model_used: str | None
    ) -> None:
        """A call is over; what it shows is kept until it is told.

        Args:
            model_used: the one that answered; None: not known.
        """
        asked, took_s = call.model or "", self._now_s() - call.started_at_s
        first_s = None if call.first_token_at_s is None else call.first_token_at_s - call.started_at_s
        if outcome is Outcome.OK and model_used in (None, asked):
            if not call.is_stream:
                self._add(asked, Seen(ok=1, whole_s=took_s, wholes=1))
            else:
                self._add(asked, Seen(ok=1, first_s=first_s or took_s, firsts=1))
        elif outcome is Outcome.OK and model_used is not None:
            # How long this one took alone nobody has seen.
            self._add(asked, Seen(failed=1))
            self._add(model_used, Seen(ok=1))
        elif (outcome is Outcome.ERROR and category in OF_MODELS) or (
            outcome is Outcome.ABORTED and call.is_stream and first_s is None and took_s >= HUNG_S
        ):
            self._add(asked, Seen(failed=1))

    async def run_forever(self) -> None:
        """Tells and hears for as long as the worker lives; it sleeps while there is nothing to."""
        while True:
            await self._has_work.wait()
            self._has_work.clear()
            self._in_use.clear()
            try:
                await self.share()
            except Exception:
                _log.exception("Sharing what is known of models failed; it is tried again.")
            try:
                # A call of auto mode ends the longer pause: it chooses by what was heard last.
                pause_s = POLL_S if self._is_in_use else TELL_S
                async with asyncio.timeout(pause_s):
                    await (asyncio.sleep(pause_s) if self._is_in_use else self._in_use.wait())
            except TimeoutError:
                pass
            if self._is_in_use:
                self._has_work.set()

    async def share(self) -> None:
        """Tells what was seen and hears what is known; while the board is lost, it learns for itself."""
        seen, self._seen = self._seen, {}
        if self._board is not None:
            try:
                board_s, self._health = await self._board.share(seen)
            except StoreLost:
                pass
            else:
                self._ahead_s = board_s - self._now_s()
                return
        now_s = self._now_s() + self._ahead_s
        learned = {name: after(self._health.get(name), what, now_s) for name, what in seen.items()}
        self._health = {**self._health, **learned}

    @property
    def _is_in_use(self) -> bool:
        return self._asked_at is not None and self._elapsed() - self._asked_at < IN_USE_S

    def _may_try(self, name: str) -> bool:
        """Whether this worker has not tried a model since calls last showed something of it."""
        known_s, at = self._tried.get(name, (-1.0, 0.0))
        # A trial may show nothing: its client may have left, or have asked for what no model can do.
        return known_s < self._tells(name) or self._elapsed() - at >= RETRY_PASSED_OVER_S

    def _find(
        self, name: str, tier: Tier | None, narrowed_to: tuple[str, ...] | None, day: int
    ) -> tuple[Candidate, ...]:
        """A caller's candidates, each at what it costs the user or the operator, whichever is more."""
        models, found = self._models.of(name, tier, narrowed_to), []
        for model in models:
            rates = self._prices.rates(model.name, tier.name if tier else None, day * DAY_S)
            if with_usd(counters_of(tier), rates) is None:
                continue  # nobody knows its price, and the account has a budget
            usd = [] if rates is None else [blended_usd_per_1m(rates)]
            usd += [] if model.usd_per_1m is None else [model.usd_per_1m]
            found.append(replace(model, usd_per_1m=max(usd, default=None)))
        if models and not found:
            raise unpriced()
        return tuple(found)

    def _tells(self, name: str) -> float:
        """When calls last showed something of a model; 0: never."""
        row = self._health.get(name)
        return 0.0 if row is None else row.at_s

    def _add(self, name: str, what: Seen) -> None:
        if name in self._watched:
            self._seen[name] = self._seen.get(name, Seen()) + what
            self._has_work.set()
