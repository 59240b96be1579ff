"""What the person at the terminal sees, also after the standard streams have become the log."""

import io
import os
import sys
from typing import TextIO


class Console:
    """Writes to the terminal the program was started from; a terminal that is gone is no error."""

    def __init__(self) -> None:
        self._out, self._err = sys.stdout, sys.stderr
        self._log: int | None = None
        self._is_closed = False

    @property
    def is_terminal(self) -> bool:
        try:
            return not self._is_closed and self._out.isatty()
        except ValueError:
            return False

    def say(self, text: str) -> None:
        self._write(self._out, text)

    def fail(self, text: str) -> None:
        self._write(self._err, text)

    def close(self) -> None:
        """Lets go of the terminal; from now on nothing is written."""
        if self._is_closed:
            return
        self._is_closed = True
        for stream in (self._out, self._err):
            if stream not in (sys.stdout, sys.stderr):
                stream.close()

    def move(self) -> None:
        """Keeps the terminal while file descriptors 1 and 2 are about to become something else."""
        sys.stdout.flush()
        sys.stderr.flush()
        self._out, self._err = _duplicate(1), _duplicate(2)

    def _write(self, stream: TextIO, text: str) -> None:
        if self._is_closed:
            return
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
        try:
            print(text, file=stream, flush=True)
        except (OSError, ValueError):
            self._is_closed = True


def _duplicate(descriptor: int) -> TextIO:
    return open(os.dup(descriptor), "w", encoding="utf-8", errors="backslashreplace")
