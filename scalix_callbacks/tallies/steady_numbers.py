"""The files in which Prometheus' client keeps a process's numbers, so made that a full disk kills nobody.

The client makes a file longer than what is on the disk and writes into it by memory. Where the disk is full
at that moment, the kernel's only answer is SIGBUS, which ends the process. So the space is taken first; where
there is none, numbers are kept in memory, and are missing in the sums until the process is replaced.
"""

import logging
import mmap
import os

from prometheus_client import values
from prometheus_client.mmap_dict import MmapedDict

FILE_BYTES = 262_144
"""About 2,000 numbers; the file grows when there are more."""

_log = logging.getLogger("scalix.metrics")


def install() -> None:
    """For all metrics made from now on."""
    if hasattr(os, "posix_fallocate") and hasattr(os, "memfd_create"):
        vars(values)["MmapedDict"] = SteadyNumbers  # where the client looks for it, each time


class SteadyNumbers(MmapedDict):
    """The client's own, on space that is there."""

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        if read_mode or _has_space(filename):
            super().__init__(filename, read_mode)  # type: ignore[no-untyped-call]  # has no types
            return
        descriptor = os.memfd_create("scalix-metrics")
        os.ftruncate(descriptor, FILE_BYTES)
        super().__init__(f"/proc/self/fd/{descriptor}")  # type: ignore[no-untyped-call]  # has no types
        os.close(descriptor)

    def _init_value(self, key: str) -> None:
        needed = self._used + len(key.encode()) + 32
        if needed > self._capacity and not _take(self._f.fileno(), 2 * self._capacity):
            self._move_to_memory()
        super()._init_value(key)  # type: ignore[no-untyped-call]  # has no types

    def _move_to_memory(self) -> None:
        descriptor = os.memfd_create("scalix-metrics")
        os.write(descriptor, self._m[:])
        self._f.close()
        self._f = os.fdopen(descriptor, "r+b")
        self._m = mmap.mmap(descriptor, self._capacity)


def _has_space(filename: str) -> bool:
    """Whether the file has blocks of its own for all that is written at first."""
    try:
        with open(filename, "ab") as file:
            size = os.fstat(file.fileno()).st_size
            return _take(file.fileno(), size or FILE_BYTES)
    except OSError:  # not even its name finds room
        return False


def _take(descriptor: int, size: int) -> bool:
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        _log.error("There is no space for metrics (%s); this process's are not counted.", error.strerror)
        return False
    return True
