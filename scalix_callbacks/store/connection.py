"""The one Redis client of a worker, and whether Redis answers it."""

import asyncio
import logging

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from scalix_callbacks.store.lane import Lane
from scalix_callbacks.store.patience import Patience

TIMEOUT_S = 0.25
"""How long any command may take; after that the store counts as lost for it."""
PING_S = 2.0
MAX_CONNECTIONS = 32
"""Of one worker; more calls than that wait for one, no longer than `TIMEOUT_S`."""

_log = logging.getLogger("scalix.store")


class Client(Redis):
    """redis-py's client, with a connection of its own for the scripts of the hot path."""

    def __init__(self, pool: BlockingConnectionPool) -> None:
        super().__init__(connection_pool=pool)
        self.auto_close_connection_pool = True
        self.lane = Lane(pool)

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        await self.lane.aclose()
        await super().aclose(close_connection_pool)


def connect(url: str) -> Client:
    """A client for `url`; connects on first use. Whoever uses it puts `Patience` around."""
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=MAX_CONNECTIONS,
        timeout=None,
        socket_timeout=None,
        socket_connect_timeout=None,
        # By default redis-py says a command up to four times, seconds apart.
        retry=Retry(NoBackoff(), 0),
    )
    return Client(pool)


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
            async with Patience(TIMEOUT_S):
                await self._redis.ping()
        except (RedisError, OSError, TimeoutError):
            return False
        return True
