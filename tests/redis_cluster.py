"""A real Redis Cluster for tests: three masters, and replicas where one is to be lost for good."""

import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from redis import Redis
from redis.crc import key_slot
from redis.exceptions import RedisError

from scalix_callbacks.cli.embedded_redis import redis_server
from tests.redis_server import left_behind
from tests.system.gateway_process import wait_until

MASTERS = 3
SLOTS = 16_384
NODE_TIMEOUT_MS = 1_000
"""After which the others take a silent node for dead."""


@dataclass(eq=False)
class Server:
    """One redis-server of the cluster."""

    port: int
    folder: str
    options: tuple[str, ...]
    process: subprocess.Popen[bytes] = field(init=False)
    client: Redis = field(init=False)

    def start(self) -> None:
        """Returns when it answers; what it had in its append-only file, it has again."""
        self.process = subprocess.Popen(
            [
                *(redis_server(), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.folder),
                *("--save", "", "--appendonly", "yes", "--appendfsync", "always"),
                *("--appendfilename", f"{self.port}.aof", "--cluster-config-file", f"{self.port}.conf"),
                *("--cluster-enabled", "yes", "--cluster-node-timeout", str(NODE_TIMEOUT_MS)),
                *("--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0", *self.options),
            ],
            stdout=subprocess.DEVNULL,
        )
        self.client = Redis(port=self.port, socket_timeout=20)
        wait_until(self.answers)

    def answers(self) -> bool:
        assert self.process.poll() is None, "a redis-server of the cluster ended"
        try:
            return bool(self.client.ping())
        except RedisError:
            return False

    def info(self) -> dict[str, str]:
        """CLUSTER INFO."""
        told: dict[str, str] = self.client.execute_command("CLUSTER INFO")
        return told

    def role(self) -> str:
        return str(self.client.info("replication")["role"])

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        self.client.close()
        self.kill()


class RedisCluster:
    """Use it in a `with`; `servers` holds the masters first, then one replica of each, if there are any.

    Args:
        options: settings of each server, as its command line takes them.
    """

    def __init__(self, *options: str, has_replicas: bool = False) -> None:
        self._folder = tempfile.mkdtemp(prefix="redis-cluster-")
        count = 2 * MASTERS if has_replicas else MASTERS
        self.servers = [Server(port, self._folder, options) for port in free_ports(count)]

    @property
    def url(self) -> str:
        places = ",".join(f"127.0.0.1:{server.port}" for server in self.servers[:MASTERS])
        return f"redis+cluster://{places}"

    def __enter__(self) -> Self:
        try:
            for server in self.servers:
                server.start()
            self._join()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def master_of(self, key: str, told_by: Server | None = None) -> Server:
        """The one that serves the key now, as `told_by`, or any, knows."""
        return self._serving(key, told_by)[0]

    def replica_of(self, key: str) -> Server:
        """The one that stands by for it."""
        return self._serving(key)[1]

    def _serving(self, key: str, told_by: Server | None = None) -> list[Server]:
        slot = key_slot(key.encode())
        rows = (told_by or self.masters()[0]).client.execute_command("CLUSTER SLOTS")
        told = next(servers for first, last, *servers in rows if first <= slot <= last)
        by_port = {server.port: server for server in self.servers}
        return [by_port[port] for _, port, *_ in told]

    def masters(self) -> list[Server]:
        """Those that are masters now."""
        return [s for s in self.servers if s.process.poll() is None and s.role() == "master"]

    def empty(self) -> None:
        for server in self.masters():
            server.client.flushall()

    def left_behind(self) -> list[str]:
        """What no test may leave; see `tests.redis_server`."""
        return [wrong for server in self.masters() for wrong in left_behind(server.client)]

    @contextmanager
    def paused(self, server: Server) -> Iterator[None]:
        """The server is silent, and however long that takes the others do not replace it."""
        for each in self.servers:
            each.client.config_set("cluster-node-timeout", 60_000)
        server.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            server.process.send_signal(signal.SIGCONT)
            for each in self.servers:
                each.client.config_set("cluster-node-timeout", NODE_TIMEOUT_MS)

    def is_whole(self) -> bool:
        """Whether every server that runs finds that all slots are served."""
        running = [server for server in self.servers if server.process.poll() is None]
        return all(server.info()["cluster_state"] == "ok" for server in running)

    def _join(self) -> None:
        first, *others = self.servers
        for number, (server, slots) in enumerate(zip(self.servers, _shares(), strict=False), start=1):
            server.client.execute_command("CLUSTER SET-CONFIG-EPOCH", number)
            server.client.execute_command("CLUSTER ADDSLOTS", *slots)
        for server in others:
            server.client.execute_command("CLUSTER MEET", "127.0.0.1", first.port)
        known = str(len(self.servers))
        wait_until(lambda: all(server.info()["cluster_known_nodes"] == known for server in self.servers))
        for master, replica in zip(self.servers[:MASTERS], self.servers[MASTERS:], strict=False):
            replica.client.execute_command("CLUSTER REPLICATE", _id(master))
        for master, _ in zip(self.servers[:MASTERS], self.servers[MASTERS:], strict=False):
            wait_until(lambda master=master: 1 == master.client.execute_command("WAIT", 1, 100))
        wait_until(self.is_whole)

    def _end(self) -> None:
        for server in self.servers:
            if hasattr(server, "process"):
                server.end()
        shutil.rmtree(self._folder)


def _id(server: Server) -> str:
    told = server.client.execute_command("CLUSTER MYID")
    return told.decode() if isinstance(told, bytes) else str(told)


def _shares() -> list[range]:
    return [range(SLOTS * i // MASTERS, SLOTS * (i + 1) // MASTERS) for i in range(MASTERS)]


def free_ports(count: int) -> list[int]:
    """Ports of which port + 10,000, for the servers' own talk, is a port as well."""
    found: list[int] = []
    while len(found) < count:
        with socket.socket() as free, socket.socket() as bus:
            free.bind(("127.0.0.1", 0))
            port = int(free.getsockname()[1])
            port = port if port < 50_000 else port - 20_000
            if port in found:
                continue
            try:
                bus.bind(("127.0.0.1", port + 10_000))
            except OSError:
                continue
        found.append(port)
    return found
