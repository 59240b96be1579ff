"""What is known of models is one, however many workers tell of them."""

import asyncio

import pytest

from scalix_callbacks.core.model_health import Seen
from scalix_callbacks.store import keys
from scalix_callbacks.store.connection import Client
from scalix_callbacks.store.model_health import MAX_MODELS, RedisModelHealth

OK = Seen(ok=1, wholes=1, whole_s=2.0)


async def test_what_one_tells_all_hear(redis) -> None:
    """With the time of Redis, by which all of them go."""
    told_s, told = await RedisModelHealth(redis).share({"a": OK, "b/ä": Seen(failed=1)})
    heard_s, heard = await RedisModelHealth(redis).share({})

    assert told == heard
    assert {"a", "b/ä"} == set(heard)
    assert 2.0 == heard["a"].latency_s(is_stream=False)
    assert told_s == pytest.approx(heard_s, abs=5)
    seconds, _ = await redis.time()
    assert told_s == pytest.approx(seconds, abs=5)


async def test_no_worker_undoes_what_another_tells(redis) -> None:
    """Three at once, in three rounds: nine failures."""
    workers = [RedisModelHealth(redis, timeout_s=5) for _ in range(3)]
    for _ in range(3):
        await asyncio.gather(*(worker.share({"a": Seen(failed=1)}) for worker in workers))
    _, heard = await workers[0].share({})

    assert 8 < heard["a"].failed <= 9
    assert heard["a"].is_down


async def test_what_is_kept_has_a_bound_and_an_end(redis) -> None:
    """One hash, for an hour after its last change."""
    board = RedisModelHealth(redis)
    await board.share({f"m{i}": OK for i in range(MAX_MODELS + 1)})
    await board.share({"a": OK})
    _, heard = await board.share({})

    assert ["a"] == list(heard)
    assert [keys.MODEL_HEALTH_KEY.encode()] == await redis.keys("*")
    assert 0 < await redis.ttl(keys.MODEL_HEALTH_KEY) <= 3_600


async def test_what_another_version_wrote_is_replaced(redis) -> None:
    """And is no error."""
    await redis.hset(keys.MODEL_HEALTH_KEY, mapping={"a": "?", "b": b"\xff"})
    _, heard = await RedisModelHealth(redis).share({"a": OK})

    assert ["a"] == list(heard)


async def test_it_works_on_a_cluster(cluster_client: Client) -> None:
    """Its script touches one slot."""
    _, told = await RedisModelHealth(cluster_client).share({"a": OK})

    assert ["a"] == list(told)
