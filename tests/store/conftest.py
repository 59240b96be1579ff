"""A real Redis for what only Redis can do, and a cluster of one node; nothing may be left held."""

from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis

from scalix_callbacks.store.connection import Client, connect
from tests.redis_server import RedisServer, emptied, running_redis


@pytest.fixture
async def redis(clean_redis: RedisServer) -> AsyncIterator[Redis]:
    client = connect(clean_redis.url)
    yield client
    await client.aclose()


@pytest.fixture(scope="session")
def cluster_node() -> Iterator[RedisServer]:
    with running_redis(is_cluster=True) as server:
        yield server


@pytest.fixture
def clean_cluster_node(cluster_node: RedisServer) -> Iterator[RedisServer]:
    yield from emptied(cluster_node)


@pytest.fixture
async def cluster_client(clean_cluster_node: RedisServer) -> AsyncIterator[Client]:
    client = connect(clean_cluster_node.url)
    yield client
    await client.aclose()


@pytest.fixture(params=["redis", "cluster_client"])
def client(request: pytest.FixtureRequest) -> Client:
    """Runs the test on one Redis and on a cluster."""
    found: Client = request.getfixturevalue(request.param)
    return found
