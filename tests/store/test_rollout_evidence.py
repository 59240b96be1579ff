"""What workers saw of flags is summed up by the minute, and gone some minutes later."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from scalix_callbacks.core.rollout_evidence import Minute
from scalix_callbacks.store.connection import Client, connect
from scalix_callbacks.store.rollout_evidence import RedisRolloutEvidence
from tests.rollout_world import MemoryEvidence

SEEN = Minute(calls=3, errors=1, slow=1, buckets={3: 1, 10: 1})


@pytest.fixture(params=["redis", "memory"])
async def evidence(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    """Redis, and what stands for it in other tests."""
    if request.param == "memory":
        yield MemoryEvidence()
        return
    client = connect(request.getfixturevalue("clean_redis").url)
    yield RedisRolloutEvidence(client, minute_s=60, minutes=10, timeout_s=5)
    await client.aclose()


async def test_what_all_workers_saw_is_added_up(evidence: Any) -> None:
    """By flag, epoch and minute, the newest first."""
    for _ in range(2):
        await evidence.add({("a", 1, 100): SEEN, ("a", 1, 98): Minute(calls=1), ("b", 1, 100): SEEN})
    await evidence.add({("a", 2, 100): Minute(calls=7)})
    await evidence.add({})
    told = await evidence.read({"a": 1, "b": 2}, 100, 3)

    assert {"a": [SEEN + SEEN, Minute(), Minute(calls=2)], "b": [Minute()] * 3} == told
    assert {} == await evidence.read({}, 100, 3)


async def test_one_worker_has_the_turn(evidence: Any) -> None:
    """Until it is over."""
    assert [True, False] == [await evidence.take_turn(60_000) for _ in range(2)]


async def test_every_minute_is_forgotten(redis: Any) -> None:
    """Five minutes after it is looked at for the last time."""
    await RedisRolloutEvidence(redis, minute_s=60, minutes=10, timeout_s=5).add({("a", 1, 100): SEEN})

    assert [b"scalix:{rollout}:a:1:60:100"] == await redis.keys("*")
    assert 890 < await redis.ttl("scalix:{rollout}:a:1:60:100") <= 900


async def test_it_works_on_a_cluster(cluster_client: Client) -> None:
    """All its keys are in one slot."""
    evidence = RedisRolloutEvidence(cluster_client, minute_s=60, minutes=10, timeout_s=5)
    await evidence.add({("a", 1, 100): SEEN, ("b", 2, 99): SEEN})
    told = await evidence.read({"a": 1, "b": 2}, 100, 2)

    assert {"a": [SEEN, Minute()], "b": [Minute(), SEEN]} == told
