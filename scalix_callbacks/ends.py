"""How calls ended, on the way to the store: however long Redis is away, it is told in the end."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from scalix_callbacks.core.breaker import Breaker, HasBreakers
from scalix_callbacks.core.limits import Ask, Settled
from scalix_callbacks.rounds import go_round
from scalix_callbacks.store.errors import StoreLost

RETRY_S = 1.0
MAX_WAITING = 50_000
"""Ends that wait for the store; beyond, the oldest is not counted any more. Its record is kept elsewhere."""

_log = logging.getLogger("scalix.ends")


@dataclass(frozen=True, slots=True)
class End:
    """How one call ended.

    Attributes:
        is_local: it was admitted without the store, which counts it now, whatever the limits.
        is_counted: whether it counts as a request.
        nano_usd: what its user pays; 0 also where there is no price.
        record: in the JSON form of `CallRecord`.
    """

    ask: Ask
    is_local: bool
    is_counted: bool
    tokens: int
    nano_usd: int
    record: Mapping[str, Any]


class Store(Protocol):
    """Where calls are settled, each once however often it is said; raises StoreLost when it cannot tell."""

    async def settle(
        self, ask: Ask, *, is_counted: bool, tokens: int, nano_usd: int, record: Mapping[str, Any]
    ) -> Settled | None: ...

    async def drain(
        self, ask: Ask, *, is_counted: bool, tokens: int, nano_usd: int, record: Mapping[str, Any]
    ) -> Settled | None: ...


class Ends:
    """Tells the store each end once it can.

    Args:
        breaker: shared with whoever else asks the store.
        told: called when the store has heard an end, and has its record in the outbox.
        elapsed: seconds that only grow.
    """

    def __init__(
        self,
        store: Store,
        breaker: HasBreakers,
        *,
        told: Callable[[], None] = lambda: None,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._told = told
        self._breaker = breaker
        self._elapsed = elapsed
        self._waiting: dict[str, End] = {}

    @property
    def waiting(self) -> int:
        """How many the store has not heard of yet."""
        return len(self._waiting)

    async def settle(self, end: End) -> Settled | None:
        """Tells the store now; None: it knew, or does not answer and will be told later."""
        # Until it is told: who is cancelled in here, or gets no answer, need not know what became of it.
        self._waiting[end.ask.call_id] = end
        if len(self._waiting) > MAX_WAITING:
            self._waiting.pop(next(iter(self._waiting)))
            _log.error("More than %d ended calls wait for Redis; the oldest is not counted.", MAX_WAITING)
        is_asked = self._breaker.of(end.ask.account_id).permits(self._elapsed())
        return await self._tell(end) if is_asked else None

    async def retry(self) -> None:
        """Tells the store those that wait, oldest first, until it fails; of a cluster, each server."""
        for end in list(self._waiting.values()):
            if self._breaker.of(end.ask.account_id).permits(self._elapsed()):
                await self._tell(end)

    async def finish(self) -> None:
        """Tells the store all that wait, for the end of the worker; waits for no pause after a failure."""
        given_up: set[Breaker] = set()
        for end in list(self._waiting.values()):
            breaker = self._breaker.of(end.ask.account_id)
            if breaker not in given_up and await self._tell(end) is None and breaker.is_open:
                given_up.add(breaker)

    async def run_forever(self) -> None:
        """`retry` every `RETRY_S`; run it as a task for as long as the worker lives."""

        def failed(error: Exception, is_first: bool) -> None:
            _log.exception("Telling the store failed; it is tried again.")

        await go_round(self.retry, RETRY_S, failed)

    async def _tell(self, end: End) -> Settled | None:
        say = self._store.drain if end.is_local else self._store.settle
        breaker = self._breaker.of(end.ask.account_id)
        try:
            settled = await say(
                end.ask,
                is_counted=end.is_counted,
                tokens=end.tokens,
                nano_usd=end.nano_usd,
                record=end.record,
            )
        except StoreLost:
            breaker.failed(self._elapsed())
            return None
        except ValueError:
            # Asked for what cannot be, such as more tokens than are exact: saying it again helps nobody.
            self._waiting.pop(end.ask.call_id, None)
            raise
        breaker.succeeded()
        self._waiting.pop(end.ask.call_id, None)
        self._told()
        return settled
