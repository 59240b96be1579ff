"""Ending together with the parent process."""

import os
import threading
import time

INTERVAL_S = 0.5


def end_with_parent(parent_pid: int) -> None:
    """End this process, at once and without cleaning up, within half a second after its parent is gone."""
    threading.Thread(target=_watch, args=(parent_pid,), name="parent-watch", daemon=True).start()


def _watch(parent_pid: int) -> None:
    while os.getppid() == parent_pid:
        time.sleep(INTERVAL_S)
    os._exit(0)
