"""A Redis of the bench's own, and how many commands it has been told."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from redis import Redis
from redis.exceptions import RedisError

from bench.processes import folder, running, wait_until
from scalix_callbacks.cli.child_environment import plain_environment
from scalix_callbacks.cli.embedded_redis import redis_server

START_S = 10.0


@contextmanager
def own_redis(port: int = 0, *, prefers_installed: bool = False) -> Iterator[str]:
    """The URL of a server without persistence that ends with the block.

    Args:
        port: on the loopback; 0: a unix socket alone.
        prefers_installed: one on the PATH before the embedded one, which LiteLLM's own scripts can crash.
    """
    installed = (shutil.which("redis-server") or shutil.which("valkey-server")) if prefers_installed else None
    with folder() as home:
        socket = home / "r.sock"
        command = [installed or redis_server(), "--port", str(port), "--unixsocket", str(socket)]
        command += ["--save", "", "--dir", str(home), "--bind", "127.0.0.1"]
        with running(command, plain_environment(os.environ), home / "log") as process:
            with Redis(unix_socket_path=str(socket)) as client:
                wait_until(lambda: _answers(client), process, home / "log", START_S)
            yield f"unix://{socket}" if port == 0 else f"redis://127.0.0.1:{port}"


def _answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except (OSError, RedisError):
        return False
