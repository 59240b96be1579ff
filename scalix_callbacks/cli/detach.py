"""Going on in the background: the terminal's process waits until the other one is ready or has failed."""

import os
import signal
import sys

_READY = b"ready"
_READ_BYTES = 65_536


class Background:
    """In the process that goes on: `ready` tells the waiting one."""

    def __init__(self, status: int) -> None:
        self._status = status

    def ready(self) -> None:
        os.write(self._status, _READY)
        os.close(self._status)


def go_to_background() -> Background | int:
    """Splits this process; it must have no threads yet.

    Returns a Background in the one that goes on, in a session of its own, without a terminal. In the other
    returns, once the first is ready or has ended, the exit code to end with.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    status_reader, status_writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(status_reader)
        os.setsid()
        empty = os.open(os.devnull, os.O_RDONLY)
        os.dup2(empty, 0)
        os.close(empty)
        return Background(status_writer)
    os.close(status_writer)
    try:
        return _wait(pid, status_reader)
    except KeyboardInterrupt:
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
        return 1


def _wait(pid: int, status_reader: int) -> int:
    if os.read(status_reader, _READ_BYTES) == _READY:
        return 0
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status) or 1
