"""The client of a Redis Cluster, against a real one of three masters with replicas."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
from redis.crc import key_slot
from redis.exceptions import ClusterDownError, RedisError, ResponseError

from scalix_callbacks.cli.external_redis import check_redis, servers_of
from scalix_callbacks.cli.start_error import StartError
from scalix_callbacks.core.limits import Ask
from scalix_callbacks.store import keys, lua
from scalix_callbacks.store.cluster import ClusterClient
from scalix_callbacks.store.connection import Client, Pulse, connect
from scalix_callbacks.store.errors import StoreLost
from scalix_callbacks.store.limiter import RedisLimiter, _End
from scalix_callbacks.store.outbox import RedisOutbox
from tests.contract.world import PATIENCE_S, REQUESTS_1H
from tests.redis_cluster import MASTERS, RedisCluster
from tests.system.gateway_process import wait_until

BRIEFLY_S = 0.5
"""How long a silent server is waited for; a busy one may take longer than in the gateway."""
KEYS = [f"scalix:{{s{i:02}}}:test" for i in range(64)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[RedisCluster]:
    with RedisCluster(has_replicas=True) as cluster:
        yield cluster


@pytest.fixture
async def redis(cluster: RedisCluster) -> AsyncIterator[Client]:
    cluster.empty()
    client = connect(cluster.url, PATIENCE_S)
    yield client
    await client.aclose()


async def value(redis: Client, key: str) -> bytes:
    """By a script, on the lane."""
    told: bytes = await redis.lane.say("EVAL", "return redis.call('GET', KEYS[1])", 1, key)
    return told


async def test_who_has_started_is_connected_to_all_servers(redis: Client, cluster: RedisCluster) -> None:
    """So that the first calls need not wait for that, whatever their accounts."""

    def connections() -> int:
        return sum(each.client.info("stats")["total_connections_received"] for each in cluster.masters())

    limiter = RedisLimiter(redis, "one", lambda memo, _: memo, timeout_s=PATIENCE_S)
    await limiter.start()
    before = connections()
    await asyncio.gather(*(value(redis, key) for key in KEYS))

    assert before == connections()


async def test_every_command_finds_its_server(redis: Client, cluster: RedisCluster) -> None:
    """Single ones, pipelines and scripts, over all shards; and all three servers have some."""
    for key in KEYS:
        await redis.set(key, key, ex=60)
    pipeline = redis.pipeline(transaction=False)
    for key in KEYS:
        pipeline.get(key)
    told = await pipeline.execute()

    assert [key.encode() for key in KEYS] == told
    assert told == await asyncio.gather(*(value(redis, key) for key in KEYS))
    assert all(server.client.dbsize() for server in cluster.masters())
    assert 1_700_000_000 < (await redis.time())[0]


async def test_a_script_is_loaded_where_it_is_not_known(redis: Client, cluster: RedisCluster) -> None:
    """Each server learns it at its first call."""
    for server in cluster.masters():
        server.client.script_flush()
    limiter = RedisLimiter(redis, "one", lambda memo, _: memo, timeout_s=PATIENCE_S)
    for i in range(30):
        await limiter.standings(f"user-{i}", ())

    assert [[True]] * MASTERS == [s.client.script_exists(lua.STANDINGS.sha) for s in cluster.masters()]


async def test_words_of_two_slots_are_refused(redis: Client) -> None:
    """As Redis words it; no script of ours says such."""
    with pytest.raises(ResponseError, match="same slot"):
        await redis.lane.say("EVAL", "return 1", 2, KEYS[0], KEYS[1])


def test_a_transaction_is_refused(cluster: RedisCluster) -> None:
    """It could hold one server's keys only, and would fail one day in three otherwise."""
    with pytest.raises(NotImplementedError):
        connect(cluster.url).pipeline()


async def test_what_is_for_one_server_is_refused(redis: Client) -> None:
    """Instead of being asked of any of them."""
    for ask in (redis.info, redis.bgsave, redis.dbsize):
        with pytest.raises(NotImplementedError, match="for one server"):
            await ask()


async def test_a_slot_that_moves_is_followed(redis: Client, cluster: RedisCluster) -> None:
    """While it moves (ASK), and when it has moved (MOVED); each script is carried out once."""
    key, script = KEYS[5], "return redis.call('INCR', KEYS[1])"
    slot, source = key_slot(key.encode()), cluster.master_of(key)
    target = next(server for server in cluster.masters() if server is not source)
    ids = {server: server.client.execute_command("CLUSTER MYID").decode() for server in (source, target)}
    assert 1 == await redis.lane.say("EVAL", script, 1, key)
    target.client.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", ids[source])
    source.client.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", ids[target])
    try:
        source.client.execute_command("MIGRATE", "127.0.0.1", target.port, key, 0, 5_000)

        assert 2 == await redis.lane.say("EVAL", script, 1, key)
        assert b"2" == await redis.get(key)
    finally:
        for server in (target, source):
            server.client.execute_command("CLUSTER SETSLOT", slot, "NODE", ids[target])

    assert 3 == await redis.lane.say("EVAL", script, 1, key)
    pipeline = redis.pipeline(transaction=False)
    assert [b"3"] == await pipeline.get(key).execute()
    # Back it need not move; but nobody may be told old news by a server that has not heard of it yet.
    wait_until(lambda: {target} == {cluster.master_of(key, told_by) for told_by in cluster.masters()})


async def test_a_silent_server_holds_up_its_own_shards_only(cluster: RedisCluster) -> None:
    """The others' are served at once, and what many servers are asked for comes from those that answer."""
    cluster.empty()
    redis = connect(cluster.url, BRIEFLY_S)
    assert isinstance(redis, ClusterClient)
    silent = cluster.master_of(KEYS[0])
    others = [key for key in KEYS if cluster.master_of(key) is not silent]
    limiter = RedisLimiter(redis, "one", lambda memo, _: memo, timeout_s=BRIEFLY_S)
    outbox = RedisOutbox(redis, BRIEFLY_S)
    for key in others:
        await redis.set(key, "here", ex=60)
    with cluster.paused(silent):
        with pytest.raises(StoreLost):
            await lua.Lua(redis, BRIEFLY_S).answer(redis.get(KEYS[0]))
        told = await asyncio.gather(*(value(redis, key) for key in others))
        assert [b"here"] * len(others) == told
        assert redis.serves(KEYS[0]) not in {None, *(redis.serves(key) for key in others)}
        assert [] == await outbox.read(10)
        with pytest.raises(StoreLost):
            await limiter.pending()
    await _until(redis.ping, True)
    await redis.aclose()


async def test_leases_are_renewed_wherever_they_can_be(cluster: RedisCluster) -> None:
    """A worker whose calls are on several servers is not taken for dead by the others when one is silent."""
    cluster.empty()
    redis = connect(cluster.url, BRIEFLY_S)
    limiter = RedisLimiter(redis, "one", lambda memo, _: memo, timeout_s=BRIEFLY_S)
    names = [f"user-{i}" for i in range(30)]
    asks = [Ask(f"call-{name}", name, (REQUESTS_1H,), 1, 0, None, {}) for name in names]
    for ask in asks:
        await limiter.admit(ask)
    leases = {keys.leases_key(keys.shard_of(name)) for name in names}
    silent = cluster.master_of(keys.SHARDS_KEY)
    others = [key for key in leases if cluster.master_of(key) is not silent]
    for key in others:
        await redis.delete(key)
    with cluster.paused(silent):
        for _ in range(2):  # the first may ask the silent one for the time
            with pytest.raises(StoreLost):
                await limiter.renew()
        renewed = [key for key in others if await redis.zscore(key, "one") is not None]
    await _until(redis.ping, True)
    for ask in asks:
        await limiter.settle(ask, is_counted=False, tokens=0, record={})
    await redis.aclose()

    assert others == renewed


async def test_what_is_unknown_is_released_wherever_it_can_be(cluster: RedisCluster) -> None:
    """A server that is lost, and first in line, does not keep what others hold for refused calls."""
    cluster.empty()
    redis = connect(cluster.url, BRIEFLY_S)
    limiter = RedisLimiter(redis, "one", lambda memo, _: memo, timeout_s=BRIEFLY_S)
    names = [f"user-{i}" for i in range(30)]
    silent = cluster.master_of(keys.counters_key(names[0]))
    names.sort(key=lambda name: cluster.master_of(keys.counters_key(name)) is not silent)
    asks = [Ask(f"call-{name}", name, (REQUESTS_1H,), 1, 0, None, {}) for name in names]
    for ask in asks:
        await limiter.admit(ask)
        limiter._unknown[ask.call_id] = ask, _End("release")
    with cluster.paused(silent):
        with pytest.raises(StoreLost):
            await limiter.renew()
        left = {ask.account_id for ask, _ in limiter._unknown.values()}
    await _until(redis.ping, True)
    await limiter.renew()
    await redis.aclose()

    assert {name for name in names if cluster.master_of(keys.counters_key(name)) is silent} == left
    assert [] == cluster.left_behind()


async def test_a_replica_takes_over(redis: Client, cluster: RedisCluster) -> None:
    """What was counted stays counted, under the same client, without a restart."""
    key = KEYS[7]
    pulse = Pulse(redis)
    master = cluster.master_of(key)
    await redis.lane.say("EVAL", "return redis.call('SET', KEYS[1], 7, 'EX', 600)", 1, key)
    assert 1 == master.client.execute_command("WAIT", 1, 5_000)
    master.kill()
    try:
        with pytest.raises((RedisError, OSError)):
            await value(redis, key)
        await _until(lambda: value(redis, key), b"7")
        watching = asyncio.create_task(pulse.watch_forever())
        await _until(redis.ping, True)
        await asyncio.to_thread(wait_until, lambda: pulse.is_ok)
        watching.cancel()
    finally:
        master.start()
    wait_until(lambda: cluster.is_whole() and "slave" == master.role())


async def test_without_any_server_it_says_so(cluster: RedisCluster) -> None:
    """At once, and again when it is asked again."""
    redis = connect("redis+cluster://127.0.0.1:1,127.0.0.1:2")
    for _ in range(2):
        with pytest.raises(ClusterDownError):
            await redis.lane.say("EVAL", "return 1", 1, "a")
        with pytest.raises(ClusterDownError):
            await redis.ping()
    await redis.aclose()


def test_a_start_checks_every_master(cluster: RedisCluster) -> None:
    """And names what is wrong: no node there, a stand-alone address for a node, slots that nobody serves."""
    check_redis(cluster.url)
    assert MASTERS == len(servers_of(cluster.url))

    with pytest.raises(StartError, match="no node of the cluster at"):
        check_redis("redis+cluster://127.0.0.1:1")
    with pytest.raises(StartError, match=r"is a node of a cluster. Write REDIS_URL=redis\+cluster://"):
        check_redis(f"redis://127.0.0.1:{cluster.servers[0].port}/0")


async def _until(ask: Callable[[], Awaitable[Any]], told: object, within_s: float = 30.0) -> None:
    """Asks again, over the errors of servers that come and go, until it is told that."""
    async with asyncio.timeout(within_s):
        while True:
            try:
                if told == await ask():
                    return
            except (RedisError, OSError):
                pass
            await asyncio.sleep(0.05)
