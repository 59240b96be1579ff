"""What ties a worker to the launcher: it ends soon after a launcher that was killed."""

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

from scalix_callbacks.cli.data_dir import DataDir
from scalix_callbacks.cli.file_lock import share

POLL_S = 0.25
DRAIN_S = 3
"""How long an orphan goes on answering its calls."""
END_S = 6.0
"""When an orphan ends in any case; the keeper waits 8 s for it with the Redis."""

_held: list[int] = []


def hold(data_dir: Path, launcher_pid: int | None, on_orphaned: Callable[[], None] | None = None) -> None:
    """Shares the lock of the children until this process ends, and ends it when the launcher is gone.

    The launcher's workers call it before they load the app. Called again it does nothing.

    Args:
        launcher_pid: None: there is no launcher, nothing is done.
        on_orphaned: called before the SIGTERM that lets uvicorn drain.
    """
    if launcher_pid is None or _held:
        return
    _held.append(share(DataDir(data_dir).children_lock))
    if os.getppid() != launcher_pid:
        os._exit(1)
    threading.Thread(target=_watch, args=(launcher_pid, on_orphaned), name="lifeline", daemon=True).start()


def _watch(launcher_pid: int, on_orphaned: Callable[[], None] | None) -> None:
    while os.getppid() == launcher_pid:
        time.sleep(POLL_S)
    if on_orphaned is not None:
        on_orphaned()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(END_S)
    os._exit(1)
