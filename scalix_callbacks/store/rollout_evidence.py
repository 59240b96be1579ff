"""Where the workers sum up what calls show of flags: one small hash for each flag and minute in Redis."""

from collections.abc import Mapping, Sequence

from scalix_callbacks.core.rollout_evidence import Minute
from scalix_callbacks.store import keys
from scalix_callbacks.store.connection import TIMEOUT_S, Client
from scalix_callbacks.store.lua import Lua

SPARE_MINUTES = 5
"""For how much longer a minute is kept than it is looked at."""
Place = tuple[str, int, int]
"""A flag, its epoch, and a minute: the number of whole ones since the Unix epoch."""


class RedisRolloutEvidence:
    """Of all workers. Every method raises StoreLost. All keys share a slot, so each pipeline touches one.

    Args:
        minute_s, minutes: how long one is, and how many are looked at.
    """

    def __init__(self, redis: Client, *, minute_s: int, minutes: int, timeout_s: float = TIMEOUT_S) -> None:
        self._redis = redis
        self._minute_s = minute_s
        self._keep_s = (minutes + SPARE_MINUTES) * minute_s
        self._lua = Lua(redis, timeout_s)

    async def add(self, seen: Mapping[Place, Minute]) -> None:
        """Adds to what is there. Where it fails, some of it may have been added."""
        if not seen:
            return
        pipeline = self._redis.pipeline(transaction=False)
        for (flag, epoch, number), minute in seen.items():
            key = keys.rollout_minute_key(flag, epoch, self._minute_s, number)
            for name, count in minute.to_fields().items():
                pipeline.hincrby(key, name, count)
            pipeline.expire(key, self._keep_s)
        await self._lua.answer(pipeline.execute())

    async def read(self, epochs: Mapping[str, int], newest: int, count: int) -> dict[str, list[Minute]]:
        """The `count` minutes up to `newest` of each flag, the newest first.

        Args:
            epochs: of each flag that is asked for.
        """
        if not epochs:
            return {}
        pipeline = self._redis.pipeline(transaction=False)
        for flag, epoch in epochs.items():
            for number in range(newest, newest - count, -1):
                pipeline.hgetall(keys.rollout_minute_key(flag, epoch, self._minute_s, number))
        found: Sequence[Mapping[bytes, bytes]] = await self._lua.answer(pipeline.execute())
        rows = [Minute.of_fields({name.decode(): int(n) for name, n in row.items()}) for row in found]
        return {flag: rows[i * count : (i + 1) * count] for i, flag in enumerate(epochs)}

    async def take_turn(self, for_ms: int) -> bool:
        """True for the first who asks, until so much later."""
        return bool(await self._lua.answer(self._redis.set(keys.rollout_turn_key(), "1", nx=True, px=for_ms)))
