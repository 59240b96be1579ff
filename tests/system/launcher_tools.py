"""Starting launchers as a person does, and knowing every process that belongs to them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil

HERE = Path(__file__).parent
SCRIPT = HERE.parents[1] / "scripts" / "start_scalix_litellm.py"
SMALL_APP = (str(HERE / "launcher_driver.py"), "launcher_small_app:app")
BROKEN_APP = (str(HERE / "launcher_driver.py"), "launcher_small_app:fails_to_start")
REAL_APP = (str(SCRIPT),)

_Value = TypeVar("_Value")


def wait_until(condition: Callable[[], _Value], timeout_s: float = 60.0) -> _Value:
    """The first true value of `condition`; fails after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, "what was waited for did not come"
        time.sleep(0.02)
    return value


def clean_environment(**more: str) -> dict[str, str]:
    """This process's environment without settings of a gateway."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LITELLM_", "SCALIX_", "REDIS_"))
        and not name.endswith(("_API_KEY", "DATABASE_URL"))
    }
    return kept | more


def is_running(pid: int) -> bool:
    """Whether the process is there and no zombie that nobody collects."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextmanager
def hangup_by_default() -> Iterator[None]:
    """What is started meanwhile hears of SIGHUP, also when these tests run under nohup."""
    ours = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, ours)


class Launcher:
    """One data directory, and what is started on it."""

    def __init__(
        self, folder: Path, program: Sequence[str] = SMALL_APP, data_dir: Path | None = None
    ) -> None:
        self.folder = folder
        self.data_dir = data_dir or folder / "data"
        self._program = program
        self._processes: list[subprocess.Popen[str]] = []
        self._seen: set[int] = set()

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, *self._program, *arguments, "--data-dir", str(self.data_dir)]

    def run(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """A command that ends by itself."""
        return subprocess.run(
            self.command(*arguments),
            capture_output=True,
            text=True,
            timeout=60,
            cwd=self.folder,
            env=clean_environment(**environ),
        )

    def begin(self, *arguments: str, **environ: str) -> "subprocess.Popen[str]":
        """A start in the foreground that need not get ready."""
        out = self.folder / f"terminal-{len(self._processes)}"
        with out.open("w") as terminal, hangup_by_default():
            process = subprocess.Popen(
                self.command("--port", "0", *arguments),
                stdin=subprocess.DEVNULL,
                stdout=terminal,
                stderr=subprocess.STDOUT,
                text=True,
                cwd=self.folder,
                env=clean_environment(**environ),
                start_new_session=True,
            )
        self._processes.append(process)
        self._seen.add(process.pid)
        return process

    def start(self, *arguments: str, **environ: str) -> "subprocess.Popen[str]":
        """A start in the foreground, ready."""
        process = self.begin(*arguments, **environ)
        wait_until(lambda: process.poll() is not None or "To stop it" in self.terminal(), 60)
        assert process.poll() is None, self.terminal()
        return process

    def terminal(self) -> str:
        """What the last start has printed."""
        return (self.folder / f"terminal-{len(self._processes) - 1}").read_text()

    def log(self) -> str:
        return (self.data_dir / "logs" / "litellm.log").read_text()

    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads((self.data_dir / "launcher.json").read_text())
        self._seen |= set(self.pids_of(state))
        return state

    @staticmethod
    def pids_of(state: dict[str, Any]) -> list[int]:
        """Every process of a state, the launcher's last."""
        single = [state[name] for name in ("keeper_pid", "redis_pid", "demo_provider_pid", "pid")]
        return [*state["workers"], *(pid for pid in single if pid is not None)]

    def get(self, path: str, **parameters: str) -> str:
        """The text of an answer; asked again while a worker is being replaced."""

        def ask() -> str | None:
            try:
                response = httpx.get(
                    self.state()["url"] + path, params=parameters, timeout=20, trust_env=False
                )
            except httpx.TransportError:
                return None
            return response.text if response.status_code == 200 else None

        return wait_until(ask) or ""

    def clean_up(self) -> None:
        """Ends what is left."""
        for process in self._processes:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        for pid in self._seen:
            if is_running(pid):
                wait_until(lambda pid=pid: not is_running(pid), 12)  # type: ignore[misc]  # the default binds pid

    def kill_launcher(self) -> list[int]:
        """`kill -9` of the launcher alone; returns everybody who has to follow it."""
        state = self.state()
        os.kill(state["pid"], signal.SIGKILL)
        return self.pids_of(state)
