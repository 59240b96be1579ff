"""The launcher's hold on the keeper: starting it, hearing from it, replacing it, ending it last."""

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from scalix_callbacks.cli.child_environment import plain_environment
from scalix_callbacks.cli.keeper_task import ORDERLY, KeeperReport, KeeperTask, report_from, to_line
from scalix_callbacks.cli.start_error import StartError

START_TIMEOUT_S = 120.0
"""A Redis with much data loads it first."""
END_TIMEOUT_S = 25.0
MAX_DEATHS = 5
DEATHS_WINDOW_S = 60.0

_POLL_S = 0.02
_READ_BYTES = 65_536


class KeeperHandle:
    """The running keeper. `redis_pid` is as last heard; None: there is no Redis of our own."""

    def __init__(self, task: KeeperTask, log_write_end: int, note: Callable[[str], None]) -> None:
        self._task = task
        self._log_write_end = log_write_end
        self._note = note
        self._deaths: deque[float] = deque(maxlen=MAX_DEATHS)
        self.redis_pid: int | None = None
        self._start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def _report_pipe(self) -> int:
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def wait_until_ready(self) -> None:
        """Returns when log and Redis are there.

        Raises:
            StartError: they cannot be.
        """
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._is_ready:
            self._hear()
            if self._process.poll() is not None and not self._is_ready:
                self._hear()
                raise StartError("The process that keeps log and Redis ended at once.", wants_log=True)
            if time.monotonic() > deadline:
                raise StartError(
                    f"{self._task.data_dir}: the embedded Redis is not ready after {START_TIMEOUT_S:.0f} s.",
                    wants_log=True,
                )
            time.sleep(_POLL_S)

    def look_after(self) -> None:
        """Hears what it says, and replaces it when it is dead.

        Raises:
            StartError: it gives up, or dies again and again.
        """
        self._hear()
        code = self._process.poll()
        if code is None:
            return
        self._hear()
        self._deaths.append(time.monotonic())
        if len(self._deaths) == MAX_DEATHS and self._deaths[-1] - self._deaths[0] < DEATHS_WINDOW_S:
            raise StartError("The process that keeps log and Redis dies again and again.", wants_log=True)
        self._note(
            f"The keeper of log and Redis (pid {self.pid}) died ({_ending(code)}); a new one takes over."
        )
        self._close()
        self._start()

    def end(self) -> None:
        """Lets it end, Redis with it, once no child is left; returns when it is gone."""
        assert self._process.stdin is not None
        with suppress(OSError):  # it is dead, and its Redis with it
            self._process.stdin.write(ORDERLY)
            self._process.stdin.flush()
        self._close_stdin()
        try:
            self._process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._close()

    def _start(self) -> None:
        self._is_ready = False
        self._heard = b""
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "scalix_callbacks.cli.keeper"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log_write_end,
            pass_fds=(self._task.log_pipe,),
            env=plain_environment(os.environ),
            start_new_session=True,
        )
        assert self._process.stdin is not None
        os.set_blocking(self._report_pipe, False)
        with suppress(OSError):  # it died at once: look_after and wait_until_ready see it
            self._process.stdin.write(to_line(self._task))
            self._process.stdin.flush()

    def _hear(self) -> None:
        try:
            data = os.read(self._report_pipe, _READ_BYTES)
        except BlockingIOError:
            return
        *lines, self._heard = (self._heard + data).split(b"\n")
        for line in lines:
            self._take(report_from(line))

    def _take(self, report: KeeperReport) -> None:
        if report.failure is not None:
            raise StartError(report.failure)
        self._is_ready = True
        if self.redis_pid is not None and report.redis_pid != self.redis_pid:
            self._note(f"Redis (pid {self.redis_pid}) ended; pid {report.redis_pid} goes on with its data.")
        self.redis_pid = report.redis_pid

    def _close(self) -> None:
        self._close_stdin()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _close_stdin(self) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):  # what was not written is of no use to a dead process
            self._process.stdin.close()


def _ending(code: int) -> str:
    return f"by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
