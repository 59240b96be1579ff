"""Two gateways behind a real nginx, on one Redis Cluster and one PostgreSQL, and clients that never rest."""

import asyncio
import contextlib
import signal
import threading
import time
from collections import Counter as Tally
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import psutil

from scalix_callbacks.core.limits import Counter, Standing
from scalix_callbacks.core.tiers import HOUR_S, Unit
from scalix_callbacks.demo_provider.testing import DemoProviderServer
from scalix_callbacks.store.connection import connect
from scalix_callbacks.store.limiter import RedisLimiter
from tests.deploy.nginx_server import Nginx, free_port
from tests.redis_cluster import RedisCluster
from tests.system.asking import CHAT, MODEL, ask
from tests.system.gateway_process import UPSTREAM_KEY, GatewayProcess, wait_until, write_config

FREE_REQUESTS_1H = Counter(Unit.REQUESTS, HOUR_S, 10)
PATIENCE_S = 20.0
GRACE_S = "1"


class Machines:
    """All of it; use it in a `with`."""

    def __init__(
        self, folder: Path, provider: DemoProviderServer, database_url: str, cluster: RedisCluster
    ) -> None:
        served = {"model": "openai/demo", "api_base": provider.base_url, "api_key": UPSTREAM_KEY}
        self._config = write_config(folder / "config.yaml", {MODEL: served, "gpt-4.1": served})
        self._folder = folder
        self._environment = {
            "REDIS_URL": cluster.url,
            "SCALIX_DATABASE_URL": database_url,
            "SCALIX_TRUSTED_PROXIES": "127.0.0.0/8",
            "SCALIX_READINESS_GRACE_S": GRACE_S,
        }
        self._ports = [free_port(), free_port()]
        self.cluster = cluster
        self.nginx = Nginx(folder / "nginx", [self._proxy(port) for port in self._ports])
        self.gateways: list[GatewayProcess] = []

    def __enter__(self) -> Self:
        with ThreadPoolExecutor(2) as pool:
            self.gateways = list(pool.map(self._start, range(2)))
        self.nginx.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.nginx.__exit__(kind, error, trace)
        for gateway in self.gateways:
            gateway.process.terminate()
        for gateway in self.gateways:
            gateway.process.wait(60)

    def start_again(self, number: int) -> None:
        """The gateway at its old address, with its old data directory; returns when it serves."""
        self.gateways[number] = self._start(number)

    def kill(self, number: int) -> None:
        """kill -9 to all of its processes in one moment."""
        launcher = psutil.Process(self.gateways[number].process.pid)
        family = [launcher, *launcher.children(recursive=True)]
        for process in family:
            process.send_signal(signal.SIGSTOP)
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.gateways[number].process.wait(60)
        psutil.wait_procs(family, 60)

    def standing(self, name: str) -> tuple[int, int]:
        """Used and held of a free user's requests of this hour, as the cluster has it."""

        async def look() -> Standing:
            redis = connect(self.cluster.url, PATIENCE_S)
            try:
                limiter = RedisLimiter(redis, "test", lambda memo, _: memo, timeout_s=PATIENCE_S)
                return (await limiter.standings(name, [FREE_REQUESTS_1H]))[0]
            finally:
                await redis.aclose()

        found = asyncio.run(look())
        return found.used, found.held

    def records(self, name: str, at_least: int = 1, timeout_s: float = 30.0) -> list[dict[str, Any]]:
        """The user's records in the ledger, once there are so many."""

        def look() -> list[dict[str, Any]] | None:
            found: list[dict[str, Any]] = []
            asked: dict[str, Any] = {"user_id": name, "limit": 1000}
            with self.gateways[0].client() as operator:
                while True:
                    page = operator.get("/scalix/admin/ledger", params=asked).json()
                    found += page["records"]
                    if page["next"] is None:
                        return found if len(found) >= at_least else None
                    asked["cursor"] = page["next"]

        records: list[dict[str, Any]] = wait_until(look, timeout_s)
        return records

    def _start(self, number: int) -> GatewayProcess:
        port = str(self._ports[number])
        folder = self._folder / f"gateway-{number}"
        return GatewayProcess(self._config, folder, "--port", port, **self._environment)

    @staticmethod
    def _proxy(port: int) -> str:
        return f"127.0.0.1:{port} max_fails=2 fail_timeout=2s"


@dataclass
class Load:
    """Clients that ask one after the other until the end of the `with`.

    Attributes:
        answers: how often each status came; 0: none came.
        odd: what the answers that were not 200 said.
    """

    machines: Machines
    key: str
    clients: int = 3
    answers: Tally[int] = field(default_factory=Tally)
    odd: list[str] = field(default_factory=list)
    _is_over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._threads = [threading.Thread(target=self._ask_on) for _ in range(self.clients)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join(60)

    def _ask_on(self) -> None:
        with self.machines.nginx.client(self.key) as client:
            while not self._is_over.is_set():
                try:
                    answer = client.post(CHAT, json=ask("[demo tokens=3 delay=0.1]"))
                except httpx.HTTPError as error:
                    self._note(0, f"{time.strftime('%X')} {error!r}")
                else:
                    self._note(answer.status_code, f"{time.strftime('%X')} {answer.text}")

    def _note(self, status: int, text: str) -> None:
        self.answers[status] += 1
        if status != 200 and len(self.odd) < 20:
            self.odd.append(text)
