"""A real Redis for what only Redis can do; nothing may be left held."""

from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis

from scalix_callbacks.store.connection import connect
from tests.redis_server import RedisServer, left_behind, running_redis


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    with running_redis() as server:
        yield server


@pytest.fixture
def clean_redis(redis_server: RedisServer) -> Iterator[RedisServer]:
    redis_server.client.flushall()
    yield redis_server
    assert [] == left_behind(redis_server.client)


@pytest.fixture
async def redis(clean_redis: RedisServer) -> AsyncIterator[Redis]:
    client = connect(clean_redis.url)
    yield client
    await client.aclose()
