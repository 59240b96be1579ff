"""Which deployments rest after failures: one small hash that all workers read."""

import json
from collections.abc import Mapping

from scalix_callbacks.store.connection import TIMEOUT_S, Client
from scalix_callbacks.store.keys import COOLDOWNS_KEY
from scalix_callbacks.store.lua import Lua

MAX_REST_S = 3_600
MAX_DEPLOYMENTS = 2_000
"""What comes beyond is not shared; each worker still knows its own."""


class RedisCooldowns:
    """Deployment id → (since, for how long), both in seconds, the first of Unix time."""

    def __init__(self, redis: Client, timeout_s: float = TIMEOUT_S) -> None:
        self._redis = redis
        self._lua = Lua(redis, timeout_s)

    async def add(self, deployment: str, since_s: float, rest_s: float) -> None:
        """Tells all workers. Raises: StoreLost."""
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.hset(COOLDOWNS_KEY, deployment, json.dumps([since_s, min(rest_s, MAX_REST_S)]))
        pipeline.expire(COOLDOWNS_KEY, MAX_REST_S)
        await self._lua.answer(pipeline.execute())

    async def read(self, now_s: float) -> Mapping[str, tuple[float, float]]:
        """Those that rest now; clears away the others. Raises: StoreLost."""
        found = await self._lua.answer(self._redis.hgetall(COOLDOWNS_KEY))
        resting: dict[str, tuple[float, float]] = {}
        over: list[str] = []
        for name, value in found.items():
            deployment = name.decode() if isinstance(name, bytes) else name
            since_s, rest_s = json.loads(value)
            if since_s + rest_s > now_s and len(resting) < MAX_DEPLOYMENTS:
                resting[deployment] = (since_s, rest_s)
            else:
                over.append(deployment)
        if over:
            await self._lua.answer(self._redis.hdel(COOLDOWNS_KEY, *over))
        return resting
