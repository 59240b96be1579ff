"""The files for Redis are taken by a real server, and what they promise holds."""

import hashlib
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from scalix_callbacks.cli.embedded_redis import redis_server
from scalix_callbacks.cli.external_redis import check_redis
from scalix_callbacks.core.limits import Ask, Denied, counters_of
from scalix_callbacks.core.tiers import DEFAULT_TIERS
from scalix_callbacks.store.connection import connect
from scalix_callbacks.store.limiter import RedisLimiter
from tests.deploy.nginx_server import free_port
from tests.deploy.tools import DEPLOY
from tests.system.gateway_process import wait_until

PASSWORD = "a-password-of-the-test"
SCALIX = "+@all -@dangerous +info +config|get +cluster|slots"


@contextmanager
def server(folder: Path, name: str) -> Iterator[redis.Redis]:
    """Run with the shipped file, but for ports and folders."""
    port = free_port()
    port = port if port < 50_000 else port - 20_000  # a node's own talk is on the port + 10,000
    shutil.copytree(DEPLOY / "redis", folder / "etc")
    (folder / "data").mkdir()
    (folder / "node").write_text(f"masteruser admin\nmasterauth {PASSWORD}\n")
    (folder / "users").write_text(
        f"user default off\nuser scalix on #{hashlib.sha256(PASSWORD.encode()).hexdigest()} ~* &* {SCALIX}\n"
        f"user admin on >{PASSWORD} ~* &* +@all\n"
    )
    for path in (folder / "etc").iterdir():
        text = path.read_text().replace("/run/secrets/redis_users", str(folder / "users"))
        text = text.replace("/run/secrets/redis_node", str(folder / "node")).replace(
            "dir /data", f"dir {folder}/data"
        )
        path.write_text(text.replace("port 6379", f"port {port}").replace("bind * -::*", "bind 127.0.0.1"))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [redis_server(), folder / "etc" / name], cwd=folder / "etc", stdout=log, stderr=subprocess.STDOUT
        )

    def listens() -> bool:
        assert process.poll() is None, (folder / "log").read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_until(listens)
        with redis.Redis(port=port, username="admin", password=PASSWORD, decode_responses=True) as client:
            yield client
    finally:
        process.terminate()
        process.wait(30)


def port_of(client: redis.Redis) -> int:
    return int(client.connection_pool.connection_kwargs["port"])


def settings(client: redis.Redis, *names: str) -> dict[str, str]:
    return {name: client.config_get(name)[name] for name in names}


def test_what_is_written_stays_and_nothing_is_thrown_away(tmp_path: Path) -> None:
    """A second at most is lost with the machine; a full Redis refuses instead of forgetting."""
    with server(tmp_path, "redis.conf") as client:
        assert {
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory": str(2 * 1024**3),
            "maxmemory-policy": "noeviction",
        } == settings(client, "appendonly", "appendfsync", "save", "maxmemory", "maxmemory-policy")


async def test_the_gateways_user_may_do_all_that_a_gateway_does(tmp_path: Path) -> None:
    """Start, admit, settle, and take the record out of the outbox."""
    with server(tmp_path, "redis.conf") as client:
        url = f"redis://scalix:{PASSWORD}@127.0.0.1:{port_of(client)}/0"
        check_redis(url)
        gateway = connect(url)
        limiter = RedisLimiter(gateway, "worker", lambda memo, _: memo, timeout_s=10)
        await limiter.start()
        record = {"call_id": "c" * 32}
        ask = Ask("c" * 32, "ada", counters_of(DEFAULT_TIERS["free"]), 100, 750, None, record)
        assert not isinstance(await limiter.admit(ask), Denied)
        await limiter.settle(ask, is_counted=True, tokens=400, record=record)
        entries = await limiter.read_outbox(10)
        await limiter.acknowledge(entries)
        await gateway.aclose()

        assert [record] == [entry.record for entry in entries]


def test_strangers_may_do_nothing_and_the_gateway_not_everything(tmp_path: Path) -> None:
    """Whoever takes over a gateway can neither empty Redis nor make it write elsewhere."""
    forbidden = ("FLUSHALL", "SHUTDOWN", "DEBUG SLEEP 0", "CONFIG SET dir /tmp", "ACL LIST", "KEYS *")
    with server(tmp_path, "redis.conf") as client:
        of_gateway = {"port": port_of(client), "username": "scalix", "password": PASSWORD, "retry": None}
        with redis.Redis(**of_gateway) as gateway, redis.Redis(port=port_of(client), retry=None) as stranger:
            for command in forbidden:
                with pytest.raises(redis.exceptions.NoPermissionError):
                    gateway.execute_command(*command.split())
            with pytest.raises(redis.AuthenticationError):
                stranger.ping()


def test_a_node_of_a_cluster_starts_with_the_same_promises(tmp_path: Path) -> None:
    """It has both files, and serves what it has while another part is away."""
    with server(tmp_path, "cluster.conf") as client:
        assert 1 == client.info("cluster")["cluster_enabled"]
        with redis.Redis(port=port_of(client), username="scalix", password=PASSWORD) as gateway:
            assert [] == gateway.execute_command("CLUSTER SLOTS")
        assert {
            "appendonly": "yes",
            "maxmemory-policy": "noeviction",
            "cluster-require-full-coverage": "no",
            "masteruser": "admin",
        } == settings(client, "appendonly", "maxmemory-policy", "cluster-require-full-coverage", "masteruser")
