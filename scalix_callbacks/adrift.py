"""Open calls that the store does not know, told to it once it is back: a worker may die before they end."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from scalix_callbacks.core.breaker import HasBreakers
from scalix_callbacks.core.limits import Ask, Decision
from scalix_callbacks.rounds import go_round
from scalix_callbacks.store.errors import StoreLost

RETRY_S = 1.0

_log = logging.getLogger("scalix.adrift")


class Admits(Protocol):
    """The store's limiter; raises StoreLost when it cannot tell."""

    async def admit(self, ask: Ask) -> Decision: ...


class Adrift:
    """The calls that a worker let go on while the store was lost, until the store has them or they end.

    The store then holds them like all others, whatever the limits, and their end is told as that of a call
    whose admission came through after all.

    Args:
        breaker: shared with whoever else asks the store.
        elapsed: seconds that only grow.
    """

    def __init__(
        self, store: Admits, breaker: HasBreakers, *, elapsed: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._breaker = breaker
        self._elapsed = elapsed
        self._asks: dict[str, Ask] = {}

    def __len__(self) -> int:
        return len(self._asks)

    def add(self, ask: Ask, output_tokens: int | None) -> None:
        """Args: output_tokens: of all its choices, as they were lowered; None: not limited."""
        counters = tuple(replace(counter, amount=None, shadow=None) for counter in ask.counters)
        # A request of its own, which is what its end will be counted as.
        self._asks[ask.call_id] = replace(ask, counters=counters, output_tokens=output_tokens, attempt=None)

    def ended(self, call_id: str) -> None:
        """Before its end is told: the store refuses what it is told of the call after that."""
        self._asks.pop(call_id, None)

    async def tell(self) -> None:
        """Tells the store of those it does not know, as far as it answers."""
        for call_id, ask in list(self._asks.items()):
            breaker = self._breaker.of(ask.account_id)
            if call_id not in self._asks or not breaker.permits(self._elapsed()):
                continue
            try:
                await self._store.admit(ask)
            except StoreLost:
                if call_id in self._asks:  # else it ended meanwhile, and the store said so
                    breaker.failed(self._elapsed())
            else:
                breaker.succeeded()
                self._asks.pop(call_id, None)

    async def run_forever(self) -> None:
        """`tell` every `RETRY_S`; run it as a task for as long as the worker lives."""

        def failed(error: Exception, is_first: bool) -> None:
            _log.exception("Telling the store of open calls failed; it is tried again.")

        await go_round(self.tell, RETRY_S, failed)
