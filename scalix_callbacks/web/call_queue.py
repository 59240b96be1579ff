"""Where calls wait while a worker has as many as it takes at once: before anything is held for them."""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Protocol

from starlette.types import Receive

from scalix_callbacks.core.errors import ErrorCategory, GatewayError
from scalix_callbacks.core.tiers import TierTable
from scalix_callbacks.core.turns import Place, Turn, Turns
from scalix_callbacks.core.upgrade import upgrade_of
from scalix_callbacks.web.answer import Answer
from scalix_callbacks.web.hang_up import hung_up


class ClientGone(Exception):
    """The client hung up before its request was complete, or while it waited for its turn."""


class CountsWaits(Protocol):
    """`RequestMetrics`."""

    def began_to_wait(self, tier: str) -> None: ...

    def ended_waiting(self, tier: str, took_s: float, *, is_let_in: bool) -> None: ...

    def overloaded(self, tier: str) -> None: ...


class CallQueue:
    """Of one worker.

    A call has its place from when it is let in until its answer begins. What overloads a worker is the work
    of beginning: once it gets more of that than it can do, calls pile up there, and each waits for all. An
    open stream takes next to nothing, and no place.

    Args:
        most_in: calls that have a place at once.
        most_waiting: calls that wait for one.
        counts: None: nobody counts.
        elapsed: seconds that only grow.
    """

    def __init__(
        self,
        tiers: TierTable,
        *,
        most_in: int,
        most_waiting: int,
        counts: CountsWaits | None = None,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tiers = tiers
        self._turns = Turns(most_in, most_waiting, {t.name: t.overload_weight for t in tiers.values()})
        self._counts = counts
        self._elapsed = elapsed

    @property
    def are_in(self) -> int:
        """How many have a place."""
        return self._turns.are_in

    async def enter(self, tier: str, receive: Receive, answer: Answer) -> float:
        """Waits until it is this call's turn; its place is free again when `answer` begins.

        Args:
            receive: what the client does next; it has sent all of its request.

        Returns:
            How long it waited, in seconds.

        Raises:
            GatewayError: OVERLOADED: its turn did not come in time, or nobody else may wait.
            ClientGone: it hung up.
        """
        turn = self._turns.arrive(tier)
        waited_s = 0.0
        if turn.place is Place.WAITING:
            try:
                waited_s = await self._wait(turn, tier, receive)
            except BaseException:
                # Also where the task is cancelled: wherever it was, nobody waits and no place is taken.
                self._leave(turn)
                raise
        if turn.place is not Place.IN:
            self._leave(turn)
            raise self._refusal(tier)
        answer.on_start = partial(self._leave, turn)
        return waited_s

    async def _wait(self, turn: Turn, tier: str, receive: Receive) -> float:
        began_s = self._elapsed()
        changed = asyncio.Event()
        turn.told = changed.set
        told = asyncio.ensure_future(changed.wait())
        gone = asyncio.ensure_future(hung_up(receive))
        if self._counts is not None:
            self._counts.began_to_wait(tier)
        try:
            await asyncio.wait(
                {told, gone}, timeout=self._tiers[tier].overload_wait_s, return_when=asyncio.FIRST_COMPLETED
            )
            if gone.done():
                raise ClientGone
        finally:
            told.cancel()
            gone.cancel()
            waited_s = self._elapsed() - began_s
            if self._counts is not None:
                self._counts.ended_waiting(tier, waited_s, is_let_in=turn.place is Place.IN)
        return waited_s

    def _leave(self, turn: Turn) -> None:
        self._turns.leave(turn, self._elapsed())

    def _refusal(self, name: str) -> GatewayError:
        if self._counts is not None:
            self._counts.overloaded(name)
        upgrade = upgrade_of(self._tiers[name], self._tiers)
        offer = "" if upgrade is None else f" Calls of higher plans go first: {upgrade.link}."
        return GatewayError(
            ErrorCategory.OVERLOADED,
            f"The gateway has too much to do right now. Try again in a moment.{offer}",
            retry_after_s=self._turns.retry_after_s(),
            upgrade_url=None if upgrade is None else upgrade.url,
        )
