"""Bytes from any number of processes → redacted, bounded lines in a rotated file."""

import io
import logging
import os
import re
from collections import deque
from collections.abc import Callable
from logging.handlers import RotatingFileHandler
from pathlib import Path

MAX_FILE_BYTES = 20_000_000
OLD_FILES = 5
MAX_LINE_CHARACTERS = 16_384
CUT_MARK = " … [cut]"

_LOOK_BEYOND = 4_096
"""How much more of a long line is looked at, so that a secret across the cut is still seen whole."""
_MAX_HELD_BYTES = 4 * (MAX_LINE_CHARACTERS + _LOOK_BEYOND)
_REMEMBERED = 30
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class LogSink:
    """Lines for the log.

    Args:
        write: takes a finished line.
        redact: takes secrets out of a line.
    """

    def __init__(self, write: Callable[[str], None], redact: Callable[[str], str]) -> None:
        self._write = write
        self._redact = redact
        self._held = b""
        self._is_cutting = False
        self.last_lines: deque[str] = deque(maxlen=_REMEMBERED)

    def feed(self, data: bytes) -> None:
        """Takes what was read; writes the lines that are complete with it."""
        *lines, self._held = (self._held + data).split(b"\n")
        for line in lines:
            self._end_line(line)
        if len(self._held) > _MAX_HELD_BYTES:
            if not self._is_cutting:
                self._put(self._held)
            self._held, self._is_cutting = b"", True

    def feed_line(self, line: str) -> None:
        """Takes one whole line from elsewhere."""
        self._put(line.encode("utf-8", errors="replace"))

    def flush(self) -> None:
        """Writes the line that has no end yet."""
        if self._held:
            self._end_line(self._held)
        self._held = b""

    def _end_line(self, line: bytes) -> None:
        if not self._is_cutting:
            self._put(line)
        self._is_cutting = False

    def _put(self, line: bytes) -> None:
        text = line.rstrip(b"\r").decode("utf-8", errors="replace")
        text = _harmless(text[: MAX_LINE_CHARACTERS + _LOOK_BEYOND])
        text = self._redact(text)
        if len(text) > MAX_LINE_CHARACTERS:
            text = text[:MAX_LINE_CHARACTERS] + CUT_MARK
        self.last_lines.append(text)
        self._write(text)


def _harmless(text: str) -> str:
    """Without colours, and without anything else that would steer the terminal of who reads the log."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), _COLOUR.sub("", text))


class LogFile:
    """Appends lines to a file, made with its folders, readable by this user only; 5 old files are kept."""

    def __init__(self, path: Path) -> None:
        """Raises OSError when it cannot be opened."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = _File(
            path, maxBytes=MAX_FILE_BYTES, backupCount=OLD_FILES, encoding="utf-8", errors="replace"
        )
        path.chmod(0o600)

    def write(self, line: str) -> None:
        self._file.emit(logging.LogRecord("log", logging.INFO, "", 0, line, None, None))

    def close(self) -> None:
        self._file.close()


class _File(RotatingFileHandler):
    def _open(self) -> io.TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        return open(descriptor, self.mode, encoding=self.encoding, errors=self.errors)  # type: ignore[return-value]  # text modes make a TextIOWrapper

    def handleError(self, record: logging.LogRecord) -> None:
        """A full disk loses lines. To say so on stderr, as logging does, would come back here as a line."""
