"""The one Redis client of a worker, and whether Redis answers it."""

import asyncio
import logging
import time

from redis.asyncio import Redis
from redis.exceptions import RedisError

from scalix_callbacks.core.redis_address import cluster_address, sentinel_address
from scalix_callbacks.store.client import TIMEOUT_S, Client, client_of
from scalix_callbacks.store.cluster import ClusterClient
from scalix_callbacks.store.patience import Patience
from scalix_callbacks.store.sentinel import SentinelClient

__all__ = ["PING_S", "TIMEOUT_S", "Client", "Pulse", "connect"]

PING_S = 2.0

_log = logging.getLogger("scalix.store")


def connect(url: str, timeout_s: float = TIMEOUT_S) -> Client:
    """A client for `url`; connects on first use. Whoever uses it puts `Patience` around.

    Args:
        url: of a server; or of a cluster, or of Sentinels, as `core.redis_address` reads them.
        timeout_s: what that patience is.
    """
    if (cluster := cluster_address(url)) is not None:
        return ClusterClient(cluster, timeout_s)
    if (sentinels := sentinel_address(url)) is not None:
        return SentinelClient(sentinels)
    return client_of(url)


class Pulse:
    """Knows, without asking in the moment, whether Redis answers."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self.is_ok = False
        self.took_s: float | None = None
        """Of the last ping; None: it was not answered."""

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
        self.took_s, began_s = None, time.perf_counter()
        try:
            async with Patience(TIMEOUT_S):
                await self._redis.ping()
        except (RedisError, OSError, TimeoutError):
            return False
        self.took_s = time.perf_counter() - began_s
        return True
