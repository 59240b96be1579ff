"""SIGTERM, Ctrl-C and SIGHUP as something a loop can wait for."""

import os
import signal
import socket
from collections import deque
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Self

HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequested(BaseException):
    """A signal to stop came while nothing was waiting for one. No Exception: no handler may swallow it."""


class StopSignals:
    """Collects signals while it is entered.

    Until `collect` is called, one that asks to stop raises `StopRequested` wherever the main thread is.
    """

    def __init__(self) -> None:
        self._came: deque[int] = deque()
        self._collects = False
        self._previous: dict[int, object] = {}
        self._wakeup: tuple[socket.socket, socket.socket] | None = None

    def __enter__(self) -> Self:
        reader, writer = socket.socketpair()
        reader.setblocking(False)
        writer.setblocking(False)
        self._wakeup = reader, writer
        self._previous_wakeup = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        for number in HANDLED:
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue  # started by nohup
            self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal itself returned
        signal.set_wakeup_fd(self._previous_wakeup)
        assert self._wakeup is not None
        for end in self._wakeup:
            end.close()

    def fileno(self) -> int:
        """Readable when one came."""
        assert self._wakeup is not None
        return self._wakeup[0].fileno()

    def collect(self) -> None:
        """From now on signals wait for `take`."""
        self._collects = True

    def take(self) -> list[int]:
        """The signals that came since the last call, in order."""
        with suppress(BlockingIOError):
            os.read(self.fileno(), 4_096)
        taken = []
        while self._came:
            taken.append(self._came.popleft())
        return taken

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._collects:
            raise StopRequested
        self._came.append(number)
