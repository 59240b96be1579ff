"""Limiters of several workers over one store, for tests that run over every implementation."""

from collections.abc import Callable, Mapping
from typing import Any

from scalix_callbacks.core.limits import Ask, Attempt, Counter, Decision, Settled, Standing
from scalix_callbacks.core.tiers import DAY_S, HOUR_S, Unit
from scalix_callbacks.store.limiter import RedisLimiter
from scalix_callbacks.store.memory import MemoryLimiter

NOON = 1_800_000_000.0
PATIENCE_S = 20.0
"""How long Redis may take here: a busy machine is not what these tests are about."""
REQUESTS_1H = Counter(Unit.REQUESTS, HOUR_S, 2)
REQUESTS_1D = Counter(Unit.REQUESTS, DAY_S, 3)
TOKENS_1D = Counter(Unit.TOKENS, DAY_S, 1_000)
USD_1D = Counter(Unit.USD, DAY_S, 1_000_000)

Limiter = RedisLimiter | MemoryLimiter


def abandoned(memo: Mapping[str, Any], windows: tuple[Standing, ...]) -> Mapping[str, Any]:
    """The record of a call whose worker died, as these tests want it."""
    charged = {standing.counter.id: standing.used for standing in windows}
    starts = {standing.counter.id: standing.started_at_s for standing in windows}
    return {**memo, "outcome": "abandoned", "charged": charged, "windows": starts}


class World:
    """Workers and their calls, by name.

    Args:
        make: a limiter for a worker.
    """

    def __init__(self, make: Callable[[str], Limiter]) -> None:
        self._make = make
        self._limiters: dict[str, Limiter] = {}
        self._asks: dict[str, tuple[Ask, str]] = {}

    def worker(self, name: str = "one") -> Limiter:
        if name not in self._limiters:
            self._limiters[name] = self._make(name)
        return self._limiters[name]

    async def admit(
        self,
        call: str,
        *counters: Counter,
        at: float | None = NOON,
        account: str = "ada",
        prompt: int = 100,
        output: int | None = 0,
        attempt: Attempt | None = None,
        prompt_nano_usd: int = 0,
        output_nano_usd: int = 0,
        worker: str = "one",
    ) -> Decision:
        ask = Ask(
            call_id=call,
            account_id=account,
            counters=counters,
            prompt_tokens=prompt,
            output_tokens=output,
            attempt=attempt,
            memo={"call_id": call},
            prompt_nano_usd=prompt_nano_usd,
            output_nano_usd=output_nano_usd,
        )
        self._asks[call] = (ask, worker)
        return await self.worker(worker).admit(ask, now_s=at)

    async def settle(
        self,
        call: str,
        tokens: int = 0,
        *,
        at: float | None = NOON,
        is_counted: bool = True,
        nano_usd: int = 0,
        record: Mapping[str, Any] | None = None,
    ) -> Settled | None:
        ask, worker = self._asks[call]
        return await self.worker(worker).settle(
            ask,
            is_counted=is_counted,
            tokens=tokens,
            nano_usd=nano_usd,
            record={"call_id": call} if record is None else record,
            now_s=at,
        )

    async def drain(self, call: str, tokens: int = 0, *, at: float | None = NOON) -> Settled | None:
        ask, worker = self._asks[call]
        return await self.worker(worker).drain(
            ask, is_counted=True, tokens=tokens, record={"call_id": call}, now_s=at
        )

    async def release(self, call: str, *, at: float | None = NOON) -> None:
        ask, worker = self._asks[call]
        refused = {"call_id": call, "outcome": "refused"}
        await self.worker(worker).release_unknown(ask, record=refused, now_s=at)

    async def fail(self, call: str, *, at: float | None = NOON) -> Settled | None:
        return await self.settle(call, at=at, is_counted=False)

    async def used_and_held(
        self, *counters: Counter, at: float | None = NOON, account: str = "ada"
    ) -> list[tuple[int, int]]:
        standings = await self.worker().standings(account, counters, now_s=at)
        return [(standing.used, standing.held) for standing in standings]

    def ask_of(self, call: str) -> Ask:
        return self._asks[call][0]

    async def end_all(self) -> None:
        """Fails every call that is still open, so that whatever stays held is a leak."""
        for call in self._asks:
            await self.fail(call)
