"""What befalls a gateway in a fault run, and how it comes back."""

import json
import os
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import httpx

from tests.postgresql_server import PostgresqlServer
from tests.soak.plan import Fault
from tests.system.gateway_process import GatewayProcess, wait_until

WORKERS = 2
LEASE_S = 20.0
AWAY_S = 6.0
STALLED_S = 3.0
BACK_WITHIN_S = 90.0


class Gateway:
    """A gateway that may be started again and again on the same data.

    Args:
        start: starts it, and returns when it is ready.
    """

    def __init__(self, start: Callable[[], GatewayProcess]) -> None:
        self._start = start
        self.process = start()

    @property
    def url(self) -> str:
        return self.process.url

    def state(self) -> dict[str, object]:
        told: dict[str, object] = json.loads((self.process.data_dir / "launcher.json").read_text())
        return told

    def worker(self) -> int:
        workers = self.state()["workers"]
        assert isinstance(workers, list)
        return int(workers[0])

    def redis(self) -> int:
        return int(str(self.state()["redis_pid"]))

    def is_well(self) -> bool:
        try:
            told = httpx.get(f"{self.url}/v1/health", timeout=5).json()
            return told["status"] == "ok" and len(self.state()["workers"]) == WORKERS  # type: ignore[arg-type]
        except (httpx.HTTPError, OSError, ValueError):
            return False

    def restart(self) -> None:
        self.process = self._start()


def befall(fault: Fault, gateway: Gateway, database: PostgresqlServer | None) -> None:
    """Lets it happen, and returns when the gateway is well again.

    Args:
        database: None: it is the SQLite file of the gateway's data.
    """
    match fault:
        case Fault.WORKER_KILLED:
            _kill_and_see_replaced(gateway, gateway.worker)
        case Fault.WORKER_STALLED:
            _stop(gateway.worker(), LEASE_S + 4)
        case Fault.REDIS_KILLED:
            _kill_and_see_replaced(gateway, gateway.redis)
        case Fault.REDIS_STALLED:
            _stop(gateway.redis(), STALLED_S)
        case Fault.DATABASE_AWAY if database is None:
            _lock(gateway.process.data_dir / "scalix.db", AWAY_S)
        case Fault.DATABASE_AWAY:
            assert database is not None
            database.kill()
            time.sleep(AWAY_S)
            database.start()
        case Fault.RENEWED:
            worker = gateway.worker()
            gateway.process.process.send_signal(signal.SIGHUP)
            wait_until(lambda: worker not in gateway.state()["workers"], BACK_WITHIN_S)  # type: ignore[operator]
        case Fault.LAUNCHER_KILLED:
            gateway.process.process.kill()
            gateway.process.process.wait(10)
            gateway.restart()
        case Fault.STOPPED:
            assert gateway.process.stop() == 0
            gateway.restart()
    wait_until(gateway.is_well, BACK_WITHIN_S)


def _kill_and_see_replaced(gateway: Gateway, process: Callable[[], int]) -> None:
    killed = process()
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: process() != killed, BACK_WITHIN_S)


def _stop(pid: int, seconds: float) -> None:
    os.kill(pid, signal.SIGSTOP)
    time.sleep(seconds)
    os.kill(pid, signal.SIGCONT)


def _lock(database: Path, seconds: float) -> None:
    with closing(sqlite3.connect(database, timeout=30, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        time.sleep(seconds)
        other.execute("ROLLBACK")
