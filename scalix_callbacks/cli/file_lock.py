"""Locks on files that end with the processes that hold them."""

import fcntl
import os
import struct
import time
from pathlib import Path

_FLOCK = "hhqqi"
_POLL_S = 0.05


def claim(path: Path) -> int | None:
    """Holds `path` for this process alone until it ends or closes the returned file; None: another has it.

    A POSIX lock: children do not inherit it, and `holder` can name its process. Any close of `path` by this
    process releases it, so look for no holder after claiming.
    """
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        return None
    return file


def holder(path: Path) -> int | None:
    """The process that has claimed `path`; None: nobody. The kernel says so, never a file's text."""
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        question = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(file, fcntl.F_GETLK, question))
    finally:
        os.close(file)
    return None if kind == fcntl.F_UNLCK else int(pid)


def share(path: Path) -> int:
    """Holds `path` together with others, as long as the returned file is open here or in a child given it."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(file, fcntl.LOCK_SH)
    return file


def take(path: Path, timeout_s: float) -> int | None:
    """Holds `path` against all that `share` or `take` it; None: somebody still had it after `timeout_s`."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(file)
                return None
        time.sleep(_POLL_S)


def is_free(path: Path) -> bool:
    """Whether nobody shares or has taken `path` now."""
    file = take(path, 0)
    if file is None:
        return False
    os.close(file)
    return True
