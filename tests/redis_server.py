"""A real redis-server for tests, on a unix socket."""

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from redis import Redis

from scalix_callbacks.cli.embedded_redis import redis_server
from tests.system.gateway_process import wait_until


@dataclass(frozen=True)
class RedisServer:
    """A running server; `client` is for what a test looks at, its own calls go through `url`."""

    url: str
    client: Redis
    process: subprocess.Popen[bytes]


@contextmanager
def running_redis(*, is_cluster: bool = False) -> Iterator[RedisServer]:
    """`is_cluster`: one node that serves all slots, and refuses a script that touches two of them."""
    # Not pytest's own folder: a socket's path must be short.
    folder = tempfile.mkdtemp(prefix="redis-")
    path = f"{folder}/r.sock"
    port = _free_port() if is_cluster else 0
    options = [
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--unixsocket",
        path,
        "--save",
        "",
        "--dir",
        folder,
    ]
    options += ["--cluster-enabled", "yes"] if is_cluster else []
    process = subprocess.Popen([redis_server(), *options], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if b"eady to accept connections" in line:
                break
        else:
            raise AssertionError("redis-server ended before it was ready")
        with Redis(unix_socket_path=path) as client:
            client.config_set("loglevel", "warning")  # nobody reads its output from here on
            if is_cluster:
                client.execute_command("CLUSTER ADDSLOTS", *range(16_384))
                wait_until(lambda: client.execute_command("CLUSTER INFO")["cluster_state"] == "ok")
            yield RedisServer(f"unix://{path}", client, process)
    finally:
        process.terminate()
        process.communicate()
        shutil.rmtree(folder)


def emptied(server: RedisServer) -> Iterator[RedisServer]:
    """Empty for one test, which may leave nothing that lives for ever or is held."""
    server.client.flushall()
    yield server
    assert [] == left_behind(server.client)


def _free_port() -> int:
    """One whose port + 10,000, for the cluster's own talk, is a port as well."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    return port if port < 50_000 else port - 20_000


def left_behind(client: Redis) -> list[str]:
    """What no test may leave: keys that live for ever, and reservations."""
    wrong = []
    for key in client.scan_iter(count=1_000):
        if client.pttl(key) == -1:
            wrong.append(f"{key.decode()} has no TTL")
        if b":open:" in key:
            wrong.append(f"{key.decode()} holds {client.hkeys(key)}")
        if b":used:" in key:
            rows = client.hgetall(key).items()
            wrong += [f"{key.decode()} {id} is {row}" for id, row in rows if row.split()[2] != b"0"]
            wrong += [f"{key.decode()} {id} is empty" for id, row in rows if row.split()[1:] == [b"0", b"0"]]
        if b":request:" in key:
            _, _, state, open_calls, *_ = client.get(key).split()
            if state == b"held" or open_calls != b"0":
                wrong.append(f"{key.decode()} is held by {open_calls} attempts")
    return wrong
