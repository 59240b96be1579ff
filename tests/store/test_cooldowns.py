"""Which deployments rest, as all workers read it from a real Redis."""

from scalix_callbacks.store.connection import Client
from scalix_callbacks.store.cooldowns import MAX_REST_S, RedisCooldowns

NOON_S = 1_900_000_000.0


async def test_what_one_tells_all_read(redis: Client) -> None:
    """Until its rest is over; then it is cleared away."""
    await RedisCooldowns(redis).add("a", NOON_S, 30)
    await RedisCooldowns(redis).add("b", NOON_S, 60)
    other = RedisCooldowns(redis)

    assert {"a": (NOON_S, 30), "b": (NOON_S, 60)} == await other.read(NOON_S + 29)
    assert {"b": (NOON_S, 60)} == await other.read(NOON_S + 30)
    assert {b"b"} == set(await redis.hgetall("scalix:cooldowns"))


async def test_nothing_rests_for_ever(redis: Client) -> None:
    """Whatever a provider asks for."""
    await RedisCooldowns(redis).add("a", NOON_S, 10**9)

    assert {"a": (NOON_S, MAX_REST_S)} == await RedisCooldowns(redis).read(NOON_S)
    assert 0 < await redis.ttl("scalix:cooldowns") <= MAX_REST_S
