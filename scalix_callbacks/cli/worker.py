"""A worker as the launcher sees it: uvicorn's process, tied to us, asked for its health without waiting."""

import io
import os
import signal
import socket
import sys
from enum import Enum, auto
from pathlib import Path

from uvicorn import Config
from uvicorn.supervisors.multiprocess import Process

from scalix_callbacks.cli import lifeline

START_TIMEOUT_S = 180.0
"""LiteLLM's imports alone take 10 s of a busy core."""

_ASK_AGAIN_S = 2.0
_TERMINAL_SIGNALS = (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)


class Health(Enum):
    """How a worker is."""

    STARTING = auto()
    SERVING = auto()
    HUNG = auto()
    DEAD = auto()


class Worker(Process):
    """One worker process. `is_serving`: its server had started when it was last looked at."""

    def __init__(self, config: Config, sockets: list[socket.socket], data_dir: Path, now: float) -> None:
        super().__init__(config, sockets)
        self.is_serving = False
        self._data_dir = data_dir
        self._launcher_pid = os.getpid()
        self._started_at = now
        self._asked_at: float | None = None
        self._answered_at = 0.0

    def start(self) -> None:
        # Ctrl-C goes to the whole group of the terminal, and so to a worker until it has left that.
        previous = signal.pthread_sigmask(signal.SIG_BLOCK, _TERMINAL_SIGNALS)
        try:
            super().start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, previous)

    def look(self, now: float) -> Health:
        """How it is at `now` (monotonic); asks it, and never waits for the answer."""
        if not self.process.is_alive():
            return Health.DEAD
        try:
            self._ask(now)
        except (OSError, EOFError):
            return Health.HUNG
        waited_s = 0.0 if self._asked_at is None else now - self._asked_at
        if self.is_serving:
            return Health.HUNG if waited_s > self.config.timeout_worker_healthcheck else Health.SERVING
        return Health.HUNG if now - self._started_at > START_TIMEOUT_S else Health.STARTING

    def kill_now(self) -> None:
        """Ends it without asking. `kill` of uvicorn's class also closes what `look` needs."""
        self.process.kill()

    def close(self) -> None:
        """After its end: forget it."""
        self.process.join()
        self.parent_conn.close()
        self.child_conn.close()

    def target(self, sockets: list[socket.socket] | None = None) -> None:
        """What runs in the worker's process."""
        _leave_terminal()
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(line_buffering=True)
        lifeline.hold(self._data_dir, self._launcher_pid, self._drain_briefly)
        super().target(sockets)

    def _ask(self, now: float) -> None:
        if self._asked_at is None and not (self.is_serving and now - self._answered_at < _ASK_AGAIN_S):
            self.parent_conn.send(b"ping")
            self._asked_at = now
        if self._asked_at is not None and self.parent_conn.poll(0):
            self.is_serving = self.parent_conn.recv()
            self._asked_at, self._answered_at = None, now

    def _drain_briefly(self) -> None:
        self.config.timeout_graceful_shutdown = lifeline.DRAIN_S


def _leave_terminal() -> None:
    """From here on only the launcher is reached by Ctrl-C and by a terminal that closes."""
    for number in _TERMINAL_SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # also forgets one that came since the start
    os.setsid()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _TERMINAL_SIGNALS)
