"""The one Redis client of a worker, and whether Redis answers it."""

import asyncio
import logging

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

TIMEOUT_S = 0.25
"""How long any command may take; after that the store counts as lost for it."""
PING_S = 2.0
MAX_CONNECTIONS = 32
"""Of one worker; more calls than that wait for one, no longer than `TIMEOUT_S`."""

_log = logging.getLogger("scalix.store")


def connect(url: str, timeout_s: float = TIMEOUT_S) -> Redis:
    """A client for `url`; connects on first use."""
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=MAX_CONNECTIONS,
        timeout=timeout_s,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        # By default redis-py says a command up to four times, seconds apart.
        retry=Retry(NoBackoff(), 0),
    )
    return Redis.from_pool(pool)


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
