"""Who tells an alert, among all workers of one Redis."""

from scalix_callbacks.store.alert_claims import RedisAlertClaims
from scalix_callbacks.store.connection import connect


async def test_one_of_all_claims(clean_redis) -> None:
    """Until it is released, which one of all does; and no longer than it was claimed for."""
    redis = connect(clean_redis.url)
    one, other = RedisAlertClaims(redis), RedisAlertClaims(redis)
    got = [await one.claim("a", 60), await other.claim("a", 60), await other.claim("b", 60)]
    released = [await other.release("a"), await one.release("a")]
    again = await one.claim("a", 60)
    left_s = [clean_redis.client.ttl(key) for key in clean_redis.client.keys("*")]
    await redis.aclose()

    assert ([True, False, True], [True, False], True) == (got, released, again)
    assert 2 == len(left_s) and all(0 < each <= 60 for each in left_s)
