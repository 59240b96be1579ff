"""The client of a Redis whose master a Sentinel knows, against real ones."""

import asyncio
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError

from scalix_callbacks.cli.embedded_redis import redis_server
from scalix_callbacks.cli.external_redis import check_redis
from scalix_callbacks.cli.start_error import StartError
from scalix_callbacks.store.connection import connect
from tests.redis_cluster import free_ports
from tests.system.gateway_process import wait_until

NAME = "scalix"
SILENT_MS = 300


@pytest.fixture
def ports() -> Iterator[list[int]]:
    """Of a master, its replica, and a Sentinel that watches them."""
    master, replica, sentinel = ports = free_ports(3)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sentinel-")))
        watched = folder / "sentinel.conf"
        watched.write_text(
            f"port {sentinel}\nbind 127.0.0.1\ndir {folder}\n"
            f"sentinel monitor {NAME} 127.0.0.1 {master} 1\n"
            f"sentinel down-after-milliseconds {NAME} {SILENT_MS}\n"
            f"sentinel failover-timeout {NAME} 5000\n"
        )
        server = [redis_server(), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
        fast = ["--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0"]
        follows = ["--replicaof", "127.0.0.1", str(master)]
        for command in (
            [*server, "--port", str(master), *fast],
            [*server, "--port", str(replica), *follows],
            [redis_server(), str(watched), "--sentinel"],
        ):
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            stack.callback(process.wait)
            stack.callback(process.kill)
        for port in ports:
            wait_until(lambda port=port: _answers(port))
        with Redis(port=master) as client:
            wait_until(lambda: 1 == client.execute_command("WAIT", 1, 100))
        with Redis(port=sentinel) as client:
            wait_until(lambda: client.sentinel_slaves(NAME))
        yield ports


async def test_a_new_master_is_followed(ports: list[int]) -> None:
    """What was counted before is there, for scripts and for other commands, without a restart."""
    url = f"redis+sentinel://127.0.0.1:{ports[2]}/{NAME}"
    check_redis(url)
    redis = connect(url)
    script = "return redis.call('INCR', KEYS[1])"
    try:
        assert [1, 2] == [await redis.lane.say("EVAL", script, 1, "calls") for _ in range(2)]
        with Redis(port=ports[0]) as master:
            assert 1 == master.execute_command("WAIT", 1, 5_000)
            master.shutdown(nosave=True)
        with pytest.raises((RedisError, OSError)):
            await redis.lane.say("EVAL", script, 1, "calls")

        async with asyncio.timeout(30):
            while True:
                try:
                    counted = await redis.lane.say("EVAL", script, 1, "calls")
                    break
                except (RedisError, OSError):
                    await asyncio.sleep(0.05)
        assert 3 == counted
        assert b"3" == await redis.get("calls")
    finally:
        await redis.aclose()
    check_redis(url)


def test_a_name_that_no_sentinel_knows_is_told() -> None:
    """As Sentinels that are not there."""
    with pytest.raises(StartError, match="no Sentinel knows a master 'other' that works"):
        check_redis("redis+sentinel://127.0.0.1:1/other")


def _answers(port: int) -> bool:
    try:
        with Redis(port=port) as client:
            return bool(client.ping())
    except RedisError:
        return False
