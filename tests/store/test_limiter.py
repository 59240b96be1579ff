"""What the limiter does when Redis forgets, stalls, or belongs to someone else."""

import asyncio
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from time import monotonic
from typing import Any

import pytest
from redis.asyncio import Redis

from scalix_callbacks.core.limits import ATTEMPTS_WITHIN_S, Admitted, Ask, Attempt, Standing
from scalix_callbacks.store import keys, lua
from scalix_callbacks.store.connection import TIMEOUT_S, connect
from scalix_callbacks.store.errors import ShardsDiffer, StoreLost
from scalix_callbacks.store.limiter import LEASE_S, RedisLimiter, _End
from tests.contract.world import NOON, PATIENCE_S, REQUESTS_1H, TOKENS_1D, abandoned
from tests.redis_server import RedisServer

ASK = Ask("a", "ada", (REQUESTS_1H, TOKENS_1D), 100, 0, None, {"call_id": "a"})


@pytest.fixture
def limiter(redis: Redis) -> RedisLimiter:
    return RedisLimiter(redis, "one", abandoned, timeout_s=PATIENCE_S)


@contextmanager
def stalled(server: RedisServer) -> Iterator[None]:
    """Redis is there and does not answer."""
    server.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.process.send_signal(signal.SIGCONT)


async def test_a_redis_that_forgot_the_scripts_is_told_them(limiter: RedisLimiter, redis: Redis) -> None:
    """As after its restart; the caller notices nothing."""
    await limiter.admit(ASK)
    await redis.script_flush()

    assert await limiter.settle(ASK, is_counted=True, tokens=1, record={}) is not None
    assert [False, True] == await redis.script_exists(lua.ADMIT.sha, lua.SETTLE.sha)


async def test_a_redis_of_another_number_of_shards_is_refused(limiter: RedisLimiter, redis: Redis) -> None:
    """Accounts would be looked for where they are not."""
    await limiter.start()
    await limiter.start()
    await redis.set(keys.SHARDS_KEY, 32, ex=60)

    with pytest.raises(ShardsDiffer, match="with 32 shards, this one has 64"):
        await limiter.start()


async def test_who_has_started_is_connected(limiter: RedisLimiter, redis: Redis) -> None:
    """The first calls, a hundred at once perhaps, need not wait for that."""
    await limiter.start()
    before = await redis.info("stats")
    await limiter.admit(ASK)
    await limiter.settle(ASK, is_counted=True, tokens=1, record={})
    after = await redis.info("stats")

    assert before["total_connections_received"] == after["total_connections_received"]


async def test_a_stalled_redis_is_lost_in_time(clean_redis: RedisServer) -> None:
    """After 250 ms, not when it comes back; nor is anything said twice."""
    client = connect(clean_redis.url)
    limiter = RedisLimiter(client, "one", abandoned)
    began = monotonic()
    with stalled(clean_redis), pytest.raises(StoreLost):
        await limiter.admit(ASK)

    assert TIMEOUT_S <= monotonic() - began < 2.0
    patient = RedisLimiter(client, "one", abandoned, timeout_s=PATIENCE_S)
    await patient.release_unknown(ASK, record={})
    await client.aclose()


async def test_an_unknown_admission_is_released_when_redis_is_back(clean_redis: RedisServer) -> None:
    """Whichever comes through first: the admission that was on its way holds nothing in the end."""
    hasty_client = connect(clean_redis.url)
    hasty = RedisLimiter(hasty_client, "one", abandoned, timeout_s=0.05)
    with stalled(clean_redis):
        with pytest.raises(StoreLost):
            await hasty.admit(ASK)
        await hasty.release_unknown(ASK, record={})
    client = connect(clean_redis.url)
    patient = RedisLimiter(client, "one", abandoned, timeout_s=PATIENCE_S)
    patient._unknown = hasty._unknown
    await patient.renew()

    assert {} == patient._unknown
    assert 0 == await patient.reservations_held()
    assert 0 == await patient.pending()
    for each in (hasty_client, client):
        await each.aclose()


async def test_a_released_call_cannot_be_admitted(limiter: RedisLimiter) -> None:
    """The admission that was on its way comes through after its release, and is barred."""
    await limiter.release_unknown(ASK, record={}, now_s=NOON)

    with pytest.raises(StoreLost, match="released before"):
        await limiter.admit(ASK, now_s=NOON)
    assert 0 == await limiter.reservations_held()


async def test_a_drained_call_cannot_be_admitted(limiter: RedisLimiter) -> None:
    """As above: it was counted, and must not hold anything as well."""
    await limiter.drain(ASK, is_counted=True, tokens=5, record={})

    with pytest.raises(StoreLost):
        await limiter.admit(ASK)


async def test_no_redis_is_a_lost_store() -> None:
    """For every method; the errors of the client do not leak."""
    client = connect("unix:///nowhere/redis.sock")
    limiter = RedisLimiter(client, "one", abandoned)
    for work in (
        limiter.start(),
        limiter.admit(ASK),
        limiter.settle(ASK, is_counted=True, tokens=0, record={}),
        limiter.standings("ada", ASK.counters),
        limiter.renew(),
        limiter.read_outbox(10),
        limiter.pending(),
        limiter.reservations_held(),
    ):
        with pytest.raises(StoreLost):
            await work
    await limiter.release_unknown(ASK, record={})
    await client.aclose()


async def test_more_calls_than_connections_wait_for_one(limiter: RedisLimiter) -> None:
    """A burst is no outage."""
    asks = [Ask(f"call-{i}", f"account-{i}", (REQUESTS_1H,), 1, 0, None, {}) for i in range(300)]
    decisions = await asyncio.gather(*map(limiter.admit, asks))
    assert all(isinstance(decision, Admitted) for decision in decisions)

    await asyncio.gather(*(limiter.settle(a, is_counted=True, tokens=0, record={}) for a in asks))


async def test_a_call_is_settled_for_the_account_it_was_admitted_for(limiter: RedisLimiter) -> None:
    """Settling another's is a mistake, and changes nothing."""
    other = replace(ASK, account_id=_in_the_shard_of("ada"))
    await limiter.admit(ASK, now_s=NOON)

    with pytest.raises(ValueError, match="another account or attempt"):
        await limiter.settle(other, is_counted=True, tokens=0, record={}, now_s=NOON)
    assert 1 == await limiter.reservations_held()
    await limiter.settle(ASK, is_counted=True, tokens=0, record={}, now_s=NOON)


async def test_a_call_is_settled_for_the_attempt_it_was_admitted_as(limiter: RedisLimiter) -> None:
    """As above."""
    own = replace(ASK, attempt=Attempt("s", 1, "body"))
    await limiter.admit(own, now_s=NOON)

    for attempt in (None, Attempt("r", 1, "body")):
        with pytest.raises(ValueError, match="another account or attempt"):
            await limiter.settle(replace(own, attempt=attempt), is_counted=True, tokens=0, record={})
    await limiter.settle(own, is_counted=True, tokens=0, record={}, now_s=NOON)


async def test_a_worker_that_renewed_meanwhile_keeps_its_calls(
    limiter: RedisLimiter, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lease had lapsed when the other looked, and no longer has when it acts."""
    other = RedisLimiter(redis, "other", abandoned, timeout_s=PATIENCE_S)
    await limiter.admit(ASK, now_s=NOON)
    late = NOON + LEASE_S
    seen = await other._lapsed(round(late * 1_000))
    await limiter.renew(now_s=late)

    async def lapsed(now_ms: int) -> list[tuple[int, str]]:
        return seen

    monkeypatch.setattr(other, "_lapsed", lapsed)
    assert [(keys.shard_of("ada"), "one")] == seen
    assert 0 == await other.reap(now_s=late)
    assert 1 == await other.reservations_held()
    await limiter.settle(ASK, is_counted=True, tokens=0, record={}, now_s=late)


async def test_a_call_is_given_up_once(redis: Redis, limiter: RedisLimiter) -> None:
    """Two workers find it at the same time."""
    other = RedisLimiter(redis, "other", abandoned, timeout_s=PATIENCE_S)
    await limiter.admit(ASK, now_s=NOON)
    shard = keys.shard_of("ada")
    stored = await redis.hget(keys.open_calls_key(shard, "one"), "a")
    assert isinstance(stored, bytes)
    gave_up = [await other._give_up(shard, "one", "a", stored, NOON + LEASE_S) for _ in range(2)]

    assert [1, 0] == gave_up
    assert 1 == await other.pending()


async def test_one_call_that_cannot_be_given_up_does_not_keep_the_others(
    limiter: RedisLimiter, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """As one of a later version, of which this one can make no record; a worker of that version ends it."""

    def picky(memo: Mapping[str, Any], windows: tuple[Standing, ...]) -> Mapping[str, Any]:
        if memo["call_id"] == "a":
            raise ValueError("endpoint cannot be read.")
        return memo

    asks = [replace(ASK, call_id=id, counters=(TOKENS_1D,), memo={"call_id": id}) for id in "abc"]
    for ask in asks:
        await limiter.admit(ask, now_s=NOON)
    older = RedisLimiter(redis, "older", picky, timeout_s=PATIENCE_S)
    later = RedisLimiter(redis, "later", abandoned, timeout_s=PATIENCE_S)

    assert [2, 0] == [await older.reap(now_s=NOON + LEASE_S) for _ in range(2)]
    assert 1 == await later.reap(now_s=NOON + LEASE_S)
    assert "endpoint cannot be read." in caplog.text


@pytest.mark.parametrize(("at", "retired"), [(NOON + LEASE_S - 0.001, 0), (NOON + LEASE_S, 1)])
async def test_only_a_worker_whose_lease_lapsed_is_forgotten(
    limiter: RedisLimiter, redis: Redis, at: float, retired: int
) -> None:
    """And only when it has no open calls: they would never be given up."""
    shard = keys.shard_of("ada")
    both = (keys.leases_key(shard), keys.open_calls_key(shard, "one"))
    script = lua.Lua(redis, PATIENCE_S)
    await limiter.admit(ASK, now_s=NOON)
    assert 0 == await script.run(lua.RETIRE, both, "one", round(at * 1_000))
    await limiter.settle(ASK, is_counted=True, tokens=0, record={}, now_s=NOON)

    assert retired == await script.run(lua.RETIRE, both, "one", round(at * 1_000))


async def test_everything_a_call_leaves_lives_long_enough(limiter: RedisLimiter, redis: Redis) -> None:
    """While it is open: its windows as long as they run, the rest until someone comes back for it."""
    ask = replace(ASK, attempt=Attempt("r", 1, "body"))
    await limiter.admit(ask)
    shard = keys.shard_of("ada")

    assert 86_390 <= await redis.ttl(keys.counters_key("ada")) <= 86_400
    assert 3_590 <= await redis.ttl(keys.request_key("ada", "r")) <= 3_600
    assert await redis.ttl(keys.open_calls_key(shard, "one")) > 2_500_000
    assert await redis.ttl(keys.leases_key(shard)) > 2_500_000
    await limiter.settle(ask, is_counted=True, tokens=1, record={})
    assert 590 <= await redis.ttl(keys.request_key("ada", "r")) <= 600
    assert await redis.ttl(keys.outbox_key(shard)) > 2_500_000


async def test_a_request_is_forgotten_when_it_takes_no_more_attempts(
    limiter: RedisLimiter, redis: Redis
) -> None:
    """With its last attempt, when that took longer than ten minutes."""
    ask = replace(ASK, attempt=Attempt("r", 1, "body"))
    await limiter.admit(ask, now_s=NOON)
    await limiter.settle(ask, is_counted=True, tokens=1, record={}, now_s=NOON + ATTEMPTS_WITHIN_S)

    assert 0 == await redis.exists(keys.request_key("ada", "r"))


async def test_after_an_outage_the_others_come_first(
    limiter: RedisLimiter, redis: Redis, clean_redis: RedisServer
) -> None:
    """All leases have lapsed meanwhile: a worker gives nobody up before they could renew theirs."""
    other = RedisLimiter(redis, "other", abandoned, timeout_s=PATIENCE_S)
    await other.admit(ASK, now_s=NOON)
    broken = connect("unix:///nowhere/redis.sock")
    limiter._redis = broken
    with pytest.raises(StoreLost):
        await limiter.renew(now_s=NOON)
    limiter._redis = redis
    await broken.aclose()

    rounds = [await limiter.reap(now_s=NOON + LEASE_S) for _ in range(3)]

    assert [0, 0, 1] == rounds


async def test_renewing_keeps_the_number_of_shards(limiter: RedisLimiter, redis: Redis) -> None:
    """It lives as long as a worker does."""
    await limiter.start()
    await redis.expire(keys.SHARDS_KEY, 5)
    await limiter.renew()

    assert await redis.ttl(keys.SHARDS_KEY) > 1_000_000


async def test_counters_live_as_long_as_their_windows(limiter: RedisLimiter, redis: Redis) -> None:
    """No shorter, and not much longer; a user at rest costs nothing in the end."""
    await limiter.admit(ASK, now_s=NOON)
    await limiter.settle(ASK, is_counted=True, tokens=1, record={}, now_s=NOON)

    assert 86_390 <= await redis.ttl(keys.counters_key("ada")) <= 86_400


async def test_a_user_at_rest_is_small(limiter: RedisLimiter, redis: Redis) -> None:
    """Below 1 KB with all its counters (spec K2)."""
    await limiter.admit(ASK)
    await limiter.settle(ASK, is_counted=True, tokens=1, record={})

    assert await redis.memory_usage(keys.counters_key("ada"), samples=0) < 400


def _in_the_shard_of(account_id: str) -> str:
    names = (f"account-{number}" for number in range(10_000))
    return next(name for name in names if keys.shard_of(name) == keys.shard_of(account_id))


async def snapshot(redis: Redis) -> dict[bytes, tuple[int, bytes]]:
    """All there is, and for how long."""
    names = await redis.keys("*")
    return {name: (await redis.pttl(name), await redis.dump(name)) for name in names}


async def set_back(redis: Redis, to: dict[bytes, tuple[int, bytes]]) -> None:
    """As after a failover to a replica that was behind, or a crash of Redis' machine."""
    await redis.flushall()
    for name, (ttl_ms, data) in to.items():
        await redis.restore(name, ttl_ms, data)


async def test_a_call_that_comes_back_with_an_old_redis_is_released(
    limiter: RedisLimiter, redis: Redis
) -> None:
    """It was settled, and a Redis that lost the last moment holds it again; those that run are left alone."""
    plain = replace(ASK, counters=(replace(REQUESTS_1H, amount=3), TOKENS_1D))
    attempt = replace(plain, call_id="b", attempt=Attempt("r", 1, "body"))
    running = replace(plain, call_id="c")
    for ask in (plain, attempt, running):
        await limiter.admit(ask)
    before = await snapshot(redis)
    for ask in (plain, attempt):
        await limiter.settle(ask, is_counted=True, tokens=7, record={})
    await set_back(redis, before)
    assert 3 == await limiter.reservations_held()
    await limiter.renew()

    requests, tokens = await limiter.standings("ada", plain.counters)
    assert (1, 1, 100) == (await limiter.reservations_held(), requests.held, tokens.held)
    assert await limiter.settle(running, is_counted=True, tokens=7, record={}) is not None


async def test_a_stray_that_was_given_up_meanwhile_leaves_no_second_record(
    limiter: RedisLimiter, redis: Redis
) -> None:
    """The ledger has how it really ended already; what was charged again is given back."""
    await limiter.admit(ASK, now_s=NOON)
    other = RedisLimiter(redis, "other", abandoned, timeout_s=PATIENCE_S)
    assert 1 == await other.reap(now_s=NOON + LEASE_S)
    await limiter._settle(ASK, _End("release"), NOON + LEASE_S)

    _, tokens = await limiter.standings("ada", ASK.counters, now_s=NOON + LEASE_S)
    assert (0, 1) == (tokens.used, await limiter.pending())


async def test_calls_that_begin_and_end_meanwhile_are_not_released(limiter: RedisLimiter) -> None:
    """Each counts, however often the leases are renewed."""
    asks = [replace(ASK, call_id=f"c{i}", counters=(TOKENS_1D,), prompt_tokens=0) for i in range(200)]

    async def call(ask: Ask) -> None:
        await limiter.admit(ask)
        await asyncio.sleep(0)
        assert await limiter.settle(ask, is_counted=True, tokens=1, record={}) is not None

    calls = asyncio.gather(*map(call, asks))
    while not calls.done():
        await limiter.renew()
    await calls

    assert [200] == [standing.used for standing in await limiter.standings("ada", (TOKENS_1D,))]


async def test_a_worker_that_ends_releases_what_is_unknown(limiter: RedisLimiter, redis: Redis) -> None:
    """Nobody would hear of it any more: it would be charged as a call whose worker died."""
    await limiter.admit(ASK)
    broken = connect("unix:///nowhere/redis.sock")
    limiter._lua = lua.Lua(broken, PATIENCE_S)
    await limiter.release_unknown(ASK, record={})
    await limiter.release()
    assert 1 == await RedisLimiter(redis, "two", abandoned).reservations_held()
    limiter._lua = lua.Lua(redis, PATIENCE_S)
    await broken.aclose()
    await limiter.release()

    assert 0 == await limiter.reservations_held()
    assert {} == limiter._unknown
