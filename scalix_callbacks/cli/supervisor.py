"""Workers kept alive from the start to the stop, and what they stand on with them."""

import signal
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from socket import socket
from typing import Protocol

from uvicorn import Config

from scalix_callbacks.cli.health import Answer, ask_health
from scalix_callbacks.cli.listener import begin_no_more, local_address
from scalix_callbacks.cli.start_error import StartError
from scalix_callbacks.cli.stop_signals import StopSignals
from scalix_callbacks.cli.worker import LINGER_S, Health, Worker

TICK_S = 0.2
MAX_DEATHS = 5
DEATHS_WINDOW_S = 120.0
"""Wide, for one start takes 10 s: five failed ones in a row must fall into it."""
HEALTHY_WITHIN_S = 30.0
"""How long workers that serve may say that they are not well, at the start."""
SETTLE_S = 0.1
"""How long the workers have to accept the connections that were begun, before the port is closed."""
FLUSH_S = 15.0
"""What a stopping worker may take, after its calls, to hand in what it holds."""


class Foundation(Protocol):
    """What the workers need beside them: the keeper, the demo provider."""

    def look_after(self) -> None:
        """Replaces it when it is dead; StartError when it cannot go on."""


@dataclass(frozen=True, slots=True)
class Serving:
    """What is served, and how.

    Attributes:
        config: uvicorn's, with the number of workers in it.
        shutdown_timeout_s: how long a stop waits for calls in flight.
        readiness_grace_s: for how long before that it says that it is not ready, and still serves.
        must_be_well: GET /v1/health has to say 200 before it counts as started, not just anything.
        hangup_stops: SIGHUP means that the terminal is gone; else it asks for new workers, one by one.
    """

    config: Config
    listener: socket
    data_dir: Path
    shutdown_timeout_s: float
    readiness_grace_s: float
    must_be_well: bool
    hangup_stops: bool


class Supervisor:
    """Starts the workers, replaces those that die or hang, ends them all.

    Args:
        foundations: looked after as long as there are workers.
        note: takes a line for the log and the person.
        on_change: called after any process has changed.
    """

    def __init__(
        self,
        serving: Serving,
        signals: StopSignals,
        foundations: list[Foundation],
        note: Callable[[str], None],
        on_change: Callable[[], None],
    ) -> None:
        self._serving = serving
        self._signals = signals
        self._foundations = foundations
        self._note = note
        self._on_change = on_change
        self._workers: list[Worker | None] = []
        self._retiring: list[tuple[Worker, float]] = []
        self._successor: Worker | None = None
        self._to_renew: deque[int] = deque()
        self._deaths: deque[float] = deque(maxlen=MAX_DEATHS)
        self._is_ready = False
        self._is_stopping = False
        self._unwell_since: float | None = None

    @property
    def _linger_s(self) -> float:
        """Part of the grace: the last of it, in which nobody new is served."""
        return min(LINGER_S, self._serving.readiness_grace_s)

    @property
    def worker_pids(self) -> list[int]:
        return [worker.pid for worker in self._all() if worker.pid is not None]

    def run(self, on_ready: Callable[[], None]) -> None:
        """Serves until a signal asks to stop, and the calls in flight are answered.

        Args:
            on_ready: called once, when every worker serves and the gateway says that it is well.

        Raises:
            StartError: it cannot start, or go on; no worker is left then.
        """
        try:
            for _ in range(self._serving.config.workers):
                self._workers.append(self._new_worker())
            self._on_change()
            while not self._is_stopping:
                self._wait()
                self._obey()
                self._look_after_foundations()
                self._look_after_workers()
                self._renew()
                if not self._is_ready and self._is_well():
                    self._is_ready = True
                    on_ready()
            self._announce()
            self._drain()
        finally:
            self._kill()

    # The loop

    def _wait(self) -> None:
        sentinels = [worker.process.sentinel for worker in self._all()]
        wait([self._signals.fileno(), *sentinels], TICK_S)

    def _obey(self) -> None:
        for number in self._signals.take():
            if number == signal.SIGHUP and not self._serving.hangup_stops:
                self._note("New workers take over, one by one.")
                self._to_renew = deque(range(len(self._workers)))
            else:
                self._is_stopping = True

    def _look_after_foundations(self) -> None:
        for foundation in self._foundations:
            foundation.look_after()
        self._on_change()

    def _look_after_workers(self) -> None:
        now = time.monotonic()
        for slot, worker in enumerate(self._workers):
            if worker is None:
                if self._may_replace(now):
                    self._workers[slot] = self._new_worker()
                continue
            health = worker.look(now)
            if health is Health.HUNG:
                self._note(f"Worker {worker.pid} hangs; it is ended.")
                worker.kill_now()
                health = Health.DEAD
            if health is Health.DEAD:
                self._workers[slot] = self._bury(worker, now)
        for worker, deadline in list(self._retiring):
            if now > deadline and worker.process.is_alive():
                worker.kill_now()
            if not worker.process.is_alive():
                worker.close()
                self._retiring.remove((worker, deadline))

    def _bury(self, worker: Worker, now: float) -> Worker | None:
        """Forgets a dead worker; returns the one in its place, None: not yet."""
        worker.close()
        code = worker.exitcode or 0
        if not self._is_ready and code > 0:
            raise StartError("A worker failed to start.", wants_log=True)
        if not worker.is_serving:  # whoever did serve is replaced, however often it is killed
            self._deaths.append(now)
        ending = f"by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        if self._may_replace(now):
            self._note(f"Worker {worker.pid} died ({ending}); a new one takes its place.")
            return self._new_worker()
        if not any(other is not None and other.is_serving for other in self._workers if other is not worker):
            raise StartError(
                f"Workers die again and again before they serve, the last one {ending}.", wants_log=True
            )
        self._note(
            f"Worker {worker.pid} died ({ending}), one of too many; its place stays empty for a while."
        )
        return None

    def _may_replace(self, now: float) -> bool:
        return len(self._deaths) < MAX_DEATHS or now - self._deaths[0] > DEATHS_WINDOW_S

    def _is_well(self) -> bool:
        if not all(worker is not None and worker.is_serving for worker in self._workers):
            return False
        answer = ask_health(*local_address(self._serving.listener))
        if answer.is_well or (answer.status is not None and not self._serving.must_be_well):
            return True
        now = time.monotonic()
        self._unwell_since = self._unwell_since or now
        if now - self._unwell_since > HEALTHY_WITHIN_S:
            raise StartError(f"The gateway has started but is not well: {_shown(answer)}.", wants_log=True)
        return False

    # New workers while the old ones serve

    def _renew(self) -> None:
        if self._successor is None:
            if self._to_renew and self._is_ready:
                self._successor = self._new_worker()
            return
        now = time.monotonic()
        match self._successor.look(now):
            case Health.STARTING:
                return
            case Health.SERVING:
                slot = self._to_renew.popleft()
                old, self._workers[slot] = self._workers[slot], self._successor
                if old is not None:
                    old.process.terminate()
                    self._retiring.append((old, now + self._serving.shutdown_timeout_s + FLUSH_S))
            case Health.HUNG | Health.DEAD:
                self._note("A new worker failed to start; the old ones stay. The log says why.")
                self._successor.kill_now()
                self._successor.close()
                self._to_renew.clear()
        self._successor = None

    # The end

    def _announce(self) -> None:
        """Lets load balancers see that it will end, while whoever still comes is served."""
        deadline = time.monotonic() + self._serving.readiness_grace_s - self._linger_s - SETTLE_S
        if not self._is_ready or not self._serving.readiness_grace_s:
            return
        for worker in self._all():
            if worker.is_serving:
                worker.announce_stop()
        while time.monotonic() < deadline:
            self._wait()
            if self._signals.take():
                return
            self._look_after_foundations()

    def _drain(self) -> None:
        if self._serving.readiness_grace_s:
            begin_no_more(self._serving.listener)
            time.sleep(SETTLE_S)
        # Ours too, or new callers would wait in a queue that nobody serves.
        self._serving.listener.close()
        now = time.monotonic()
        for worker in self._all():
            worker.look(now)
            if worker.is_serving:
                worker.process.terminate()
            else:
                worker.kill_now()
        deadline = now + self._serving.shutdown_timeout_s + FLUSH_S
        while any(worker.process.is_alive() for worker in self._all()):
            self._wait()
            if signal.SIGINT in self._signals.take():
                self._note("Ended by a second Ctrl-C; calls in flight are cut.")
                return
            if time.monotonic() > deadline:
                self._note("Workers do not end in time; calls in flight are cut.")
                return
            self._look_after_foundations()

    def _kill(self) -> None:
        for worker in self._all():
            if worker.process.is_alive():
                worker.kill_now()
            worker.close()
        self._workers, self._retiring, self._successor = [], [], None

    def _new_worker(self) -> Worker:
        serving = self._serving
        worker = Worker(
            serving.config, [serving.listener], serving.data_dir, time.monotonic(), self._linger_s
        )
        worker.start()
        return worker

    def _all(self) -> list[Worker]:
        retiring = [worker for worker, _ in self._retiring]
        return [worker for worker in (*self._workers, self._successor, *retiring) if worker is not None]


def _shown(answer: Answer) -> str:
    return f"GET /v1/health says {answer.status or 'nothing'} {answer.text[:300]}".strip()
