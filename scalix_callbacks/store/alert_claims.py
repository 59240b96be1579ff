"""Which worker tells an alert: the first to claim it, among all in Redis, or among those of one machine."""

import asyncio
import fcntl
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from scalix_callbacks.store import keys
from scalix_callbacks.store.connection import TIMEOUT_S, Client
from scalix_callbacks.store.lua import Lua

MAX_CLAIMS = 1_000
"""On one machine; beyond, what would be free first goes."""


class RedisAlertClaims:
    """Among all workers of one Redis. Raises StoreLost."""

    def __init__(self, redis: Client, timeout_s: float = TIMEOUT_S) -> None:
        self._redis = redis
        self._lua = Lua(redis, timeout_s)

    async def claim(self, name: str, for_s: int) -> bool:
        """True for the first who asks, until the claim is released or `for_s` are over."""
        return bool(await self._lua.answer(self._redis.set(keys.alert_key(name), "1", nx=True, ex=for_s)))

    async def release(self, name: str) -> bool:
        """True for the first who asks while it is claimed."""
        return bool(await self._lua.answer(self._redis.delete(keys.alert_key(name))))


class HostAlertClaims:
    """Among the workers that share a file: for what is to be told while Redis is lost."""

    def __init__(self, path: Path, now_s: Callable[[], float] = time.time) -> None:
        self._path = path
        self._now_s = now_s

    async def claim(self, name: str, for_s: int) -> bool:
        return await asyncio.to_thread(self._change, keys.digest(name), for_s)

    async def release(self, name: str) -> bool:
        return await asyncio.to_thread(self._change, keys.digest(name), None)

    def _change(self, name: str, for_s: int | None) -> bool:
        now_s = self._now_s()
        with os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600), "r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            claims = {key: until_s for key, until_s in _read(file.read()).items() if until_s > now_s}
            is_claimed = name in claims
            if for_s is None:
                claims.pop(name, None)
            elif not is_claimed:
                claims[name] = now_s + for_s
            last = sorted(claims.items(), key=lambda each: each[1])[-MAX_CLAIMS:]
            file.seek(0)
            file.truncate()
            json.dump(dict(last), file)
        return is_claimed if for_s is None else not is_claimed


def _read(text: str) -> dict[str, float]:
    """What a worker that was killed left half-written counts as nothing."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return {k: v for k, v in found.items() if isinstance(v, int | float)} if isinstance(found, dict) else {}
