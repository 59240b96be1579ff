"""A worker as the launcher sees it: uvicorn's process, tied to us, asked for its health without waiting."""

import asyncio
import gc
import io
import os
import signal
import socket
import sys
import time
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path

from uvicorn import Config, Server
from uvicorn.supervisors.multiprocess import Process

from scalix_callbacks.cli import lifeline

START_TIMEOUT_S = 180.0
"""LiteLLM's imports alone take 10 s of a busy core."""

LINGER_S = 0.3
"""How long a worker that ends still answers on connections that are open, after the last one was taken."""

_ASK_AGAIN_S = 2.0
_LINGER_TICK_S = 0.02
_TERMINAL_SIGNALS = (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)


class Health(Enum):
    """How a worker is."""

    STARTING = auto()
    SERVING = auto()
    HUNG = auto()
    DEAD = auto()


class Worker(Process):
    """One worker process. `is_serving`: its server had started when it was last looked at.

    Args:
        linger_s: how long it still answers on open connections before a stop closes them.
    """

    def __init__(
        self,
        config: Config,
        sockets: list[socket.socket],
        data_dir: Path,
        now: float,
        linger_s: float = 0.0,
    ) -> None:
        super().__init__(config, sockets)
        self._linger_s = linger_s
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

    def announce_stop(self) -> None:
        """From now on it says that it is not ready; only for one that `is_serving`."""
        if self.pid is not None and self.process.is_alive():
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGUSR1)

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
        gc.disable()  # until it has started: LiteLLM's modules are no garbage, and looking costs 2 s
        self._server = _Server(self.config, self._linger_s)
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


class _Server(Server):
    """Ends without resetting a request that is on its way to it.

    uvicorn closes idle connections at once. A load balancer keeps such connections, and may have just sent
    a request into one; whether that was carried out it cannot know, and so does not repeat it.
    """

    def __init__(self, config: Config, linger_s: float) -> None:
        super().__init__(config)
        self._linger_s = linger_s

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        gc.freeze()  # what is here now stays: a look at all of it would hold up every call
        gc.enable()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Takes no new connection; then what still comes on the open ones is the last on each."""
        for server in self.servers:
            server.close()
        for each in sockets or ():
            each.close()
        until = time.monotonic() + self._linger_s
        while time.monotonic() < until:
            for connection in list(self.server_state.connections):
                if (cycle := getattr(connection, "cycle", None)) is not None:
                    cycle.keep_alive = False
            await asyncio.sleep(_LINGER_TICK_S)
        await super().shutdown(sockets)


def _leave_terminal() -> None:
    """From here on only the launcher is reached by Ctrl-C and by a terminal that closes."""
    for number in _TERMINAL_SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # also forgets one that came since the start
    # Meant for the gateway's own app; another one would die of it.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    os.setsid()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _TERMINAL_SIGNALS)
