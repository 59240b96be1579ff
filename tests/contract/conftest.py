"""Every limiter there is, over a real Redis where it needs one; nothing may be left held."""

from collections.abc import AsyncIterator, Iterator

import pytest

from scalix_callbacks.store.connection import connect
from scalix_callbacks.store.limiter import RedisLimiter
from scalix_callbacks.store.memory import MemoryLimiter
from scalix_callbacks.store.memory_store import MemoryStore
from tests.contract.world import PATIENCE_S, World, abandoned
from tests.redis_cluster import RedisCluster
from tests.redis_server import RedisServer, running_redis


@pytest.fixture(scope="session")
def redis_cluster() -> Iterator[RedisCluster]:
    with RedisCluster() as cluster:
        yield cluster


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """For who empties it many times over."""
    with running_redis() as server:
        yield server


@pytest.fixture
async def redis_world(clean_redis: RedisServer) -> AsyncIterator[World]:
    async for world in _world_of(clean_redis.url):
        yield world


@pytest.fixture
async def cluster_world(redis_cluster: RedisCluster) -> AsyncIterator[World]:
    redis_cluster.empty()
    async for world in _world_of(redis_cluster.url):
        yield world
    assert [] == redis_cluster.left_behind()


async def _world_of(url: str) -> AsyncIterator[World]:
    redis = connect(url, PATIENCE_S)
    world = World(lambda worker: RedisLimiter(redis, worker, abandoned, timeout_s=PATIENCE_S))
    yield world
    await world.end_all()
    await redis.aclose()


@pytest.fixture
async def memory_world() -> AsyncIterator[World]:
    store = MemoryStore()
    world = World(lambda worker: MemoryLimiter(store, worker, abandoned))
    yield world
    await world.end_all()
    assert [] == [calls for calls in store.open.values() if calls]
    assert [] == [w for windows in store.accounts.values() for w in windows.values() if w.held]


@pytest.fixture(params=["redis", "cluster", "memory"])
def world(request: pytest.FixtureRequest) -> World:
    """Runs the test over every implementation of the contract."""
    made: World = request.getfixturevalue(f"{request.param}_world")
    return made
