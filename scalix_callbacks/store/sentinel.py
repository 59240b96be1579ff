"""A client of the one Redis server that Sentinels call the master, whichever that is."""

from redis.asyncio import BlockingConnectionPool
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff

from scalix_callbacks.core.redis_address import SentinelAddress
from scalix_callbacks.store.client import MAX_CONNECTIONS, Client

SENTINEL_TIMEOUT_S = 0.1
"""For one of them; within the patience of a command a second one can still be asked."""


class _Pool(SentinelConnectionPool, BlockingConnectionPool):
    """Each new connection is to whom the Sentinels name. On a failover they break those to the old master."""


class SentinelClient(Client):
    """As a `Client` is used."""

    def __init__(self, address: SentinelAddress) -> None:
        quickly = Retry(NoBackoff(), 0)
        self._sentinels = Sentinel(  # type: ignore[no-untyped-call]  # redis-py's
            [(node.host, node.port) for node in address.nodes],
            sentinel_kwargs={
                "socket_timeout": SENTINEL_TIMEOUT_S,
                "socket_connect_timeout": SENTINEL_TIMEOUT_S,
                "retry": quickly,
            },
        )
        told = dict(parse_url(address.url_of(address.nodes[0])))
        for name in ("host", "port", "connection_class"):
            told.pop(name, None)
        super().__init__(
            _Pool(  # type: ignore[no-untyped-call]
                address.service,
                self._sentinels,
                ssl=address.scheme == "rediss",
                max_connections=MAX_CONNECTIONS,
                timeout=None,
                socket_timeout=None,
                socket_connect_timeout=None,
                retry=quickly,
                **told,
            )
        )

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        await super().aclose(close_connection_pool)
        await self._sentinels.aclose()
