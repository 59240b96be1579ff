"""The one Redis client of a worker, and whether Redis answers it."""

import asyncio
import logging

from redis.asyncio import Redis
from redis.exceptions import RedisError

TIMEOUT_S = 0.25
"""How long any command may take; after that the store counts as lost for it."""
PING_S = 2.0

_log = logging.getLogger("scalix.store")


def connect(url: str) -> Redis:
    """A client for `url`; connects on first use."""
    return Redis.from_url(url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)


class Pulse:
    """Knows, without asking in the moment, whether Redis answers."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self.is_ok = False

    async def watch_forever(self) -> None:
        """Pings every `PING_S`; run it as a task for as long as the worker lives."""
        first = True
        while True:
            was_ok, self.is_ok = self.is_ok, await self._ping()
            if was_ok != self.is_ok and not (first and self.is_ok):
                _log.warning("Redis answers again." if self.is_ok else "Redis does not answer.")
            first = False
            await asyncio.sleep(PING_S)

    async def _ping(self) -> bool:
        try:
            await self._redis.ping()
        except (RedisError, OSError, TimeoutError):
            return False
        return True
