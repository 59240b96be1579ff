"""A client of one Redis server."""

from typing import Any, Protocol

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from scalix_callbacks.store.lane import Lane

TIMEOUT_S = 0.25
"""How long any command may take; after that the store counts as lost for it."""
MAX_CONNECTIONS = 32
"""Of one worker; more calls than that wait for one, no longer than `TIMEOUT_S`."""


class Says(Protocol):
    """The way of the scripts to Redis; see `Lane`."""

    async def say(self, *command: str | int | bytes) -> Any: ...

    async def aclose(self) -> None: ...


class Client(Redis):
    """redis-py's client, with a connection of its own for the scripts of the hot path."""

    lane: Says

    def __init__(self, pool: BlockingConnectionPool) -> None:
        super().__init__(connection_pool=pool)
        self.auto_close_connection_pool = True
        self.lane = Lane(pool)

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        await self.lane.aclose()
        await super().aclose(close_connection_pool)


def client_of(url: str) -> Client:
    """A client of the server at `url`; connects on first use."""
    return Client(pool_of(url))


def pool_of(url: str) -> BlockingConnectionPool:
    """Its connections have no time-outs, and say no command twice."""
    return BlockingConnectionPool.from_url(
        url,
        max_connections=MAX_CONNECTIONS,
        timeout=None,
        socket_timeout=None,
        socket_connect_timeout=None,
        # By default redis-py says a command up to four times, seconds apart.
        retry=Retry(NoBackoff(), 0),
    )
