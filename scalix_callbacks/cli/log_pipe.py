"""The pipe that carries the output of every process to the keeper."""

import fcntl
import os
from contextlib import suppress
from datetime import UTC, datetime

PIPE_BYTES = 1 << 20


class LogPipe:
    """A pipe with both ends open here, so that nobody's output breaks while the keeper is being replaced."""

    def __init__(self) -> None:
        self.read_end, self.write_end = os.pipe()
        with suppress(OSError):  # a user with many pipes keeps the usual 64 KB; they will do
            fcntl.fcntl(self.write_end, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        # A description of our own: the launcher must not wait for a reader that it has to replace itself.
        self._own_end = os.open(f"/proc/self/fd/{self.write_end}", os.O_WRONLY | os.O_NONBLOCK)
        self._saved: list[tuple[int, int]] = []

    def redirect(self) -> None:
        """Makes it the standard output and error of this process and its children; stdin becomes empty."""
        empty = os.open(os.devnull, os.O_RDONLY)
        for descriptor, target in ((0, empty), (1, self.write_end), (2, self.write_end)):
            self._saved.append((descriptor, os.dup(descriptor)))
            os.dup2(target, descriptor)
        os.close(empty)

    def note(self, text: str) -> None:
        """A line of the launcher's own; dropped when the pipe is full."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = f"{now.removesuffix('+00:00')}Z INFO scalix.launcher {text}\n"
        with suppress(BlockingIOError):
            os.write(self._own_end, line.encode("utf-8", errors="replace"))

    def forget_terminal(self) -> None:
        """From now on there are no standard streams to give back."""
        empty = os.open(os.devnull, os.O_RDWR)
        for _, saved in self._saved:
            os.dup2(empty, saved, inheritable=False)
        os.close(empty)

    def close(self) -> None:
        """Gives the standard streams back and lets go of the pipe."""
        for descriptor, saved in self._saved:
            os.dup2(saved, descriptor)
            os.close(saved)
        self._saved.clear()
        for end in (self.read_end, self.write_end, self._own_end):
            os.close(end)
