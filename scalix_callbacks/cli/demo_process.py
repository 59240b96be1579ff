"""The demo provider as a process beside the workers."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable

from scalix_callbacks.cli.child_environment import plain_environment
from scalix_callbacks.cli.listener import bind, local_address, url_of

END_TIMEOUT_S = 3.0
RESTART_S = 2.0


class DemoProcess:
    """The running demo provider. It answers at `url` from the start: the socket is ours, calls wait in it."""

    def __init__(self, children_lock: int, note: Callable[[str], None]) -> None:
        """Starts it.

        Args:
            children_lock: an open file with the lock of the children, which it keeps open.
        """
        self._listener: socket.socket = bind("127.0.0.1", 0)
        self._children_lock = children_lock
        self._note = note
        self.url = url_of(*local_address(self._listener))
        self._start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def look_after(self) -> None:
        """Starts it again, at the same address, when it is dead; not more often than every 2 s."""
        if self._process.poll() is not None and time.monotonic() - self._started_at > RESTART_S:
            self._note(f"The demo provider (pid {self.pid}) died; a new one takes over.")
            self._start()

    def end(self) -> None:
        self._listener.close()
        self._process.terminate()
        try:
            self._process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _start(self) -> None:
        self._started_at = time.monotonic()
        listener = self._listener.fileno()
        arguments = ["--fd", str(listener), "--parent-pid", str(os.getpid())]
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "scalix_callbacks.demo_provider", *arguments],
            stdin=subprocess.DEVNULL,
            pass_fds=(listener, self._children_lock),
            env=plain_environment(os.environ),
            start_new_session=True,
        )
