"""The way of one line per call out of a worker: never waits, never breaks into another line."""

import logging
import os
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress

MAX_BYTES = 4_096
"""Of one line, or of several written at once: as much as a pipe takes as a whole (PIPE_BUF)."""
MARK = '{"at":"'
"""How each of its lines begins, and no other line of the log."""

_log = logging.getLogger("scalix.access")


class AccessLog:
    """Writes to the standard error stream, which the launcher's keeper reads.

    Args:
        redact: takes secrets out of a line, as out of every other.
        descriptor: of that stream.
    """

    def __init__(self, redact: Callable[[str], str], descriptor: int = 2) -> None:
        self._redact = redact
        self._descriptor = descriptor
        self._own: int | None = None
        with suppress(OSError):
            if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
                # A description of our own: a keeper that stands still must not hold up calls.
                self._own = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK)
        self.lost = 0

    def write(self, lines: Iterable[str]) -> None:
        """Lines without their ends, as many at once as stay whole; lost when nobody reads."""
        together, count = b"", 0
        for line in lines:
            data = self._redact(line).encode("utf-8", "replace") + b"\n"
            if len(data) > MAX_BYTES:
                self.lost += 1
                continue
            if len(together) + len(data) > MAX_BYTES:
                self._write(together, count)
                together, count = b"", 0
            together += data
            count += 1
        if together:
            self._write(together, count)

    def _write(self, data: bytes, count: int) -> None:
        try:
            os.write(self._descriptor if self._own is None else self._own, data)
        except OSError:
            self.lost += count
            return
        if self.lost:
            _log.warning("%d lines of calls were lost: the log did not take them in time.", self.lost)
            self.lost = 0

    def close(self) -> None:
        if self._own is not None:
            os.close(self._own)
            self._own = None
