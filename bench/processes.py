"""What processes have taken of the machine so far, and processes of our own that surely end."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

END_S = 60.0
POLL_S = 0.02


def cpu_s(pids: Sequence[int]) -> float:
    """User and system time of these processes."""
    return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in pids)


def memory_mb(pids: Sequence[int]) -> float:
    """Of memory that is theirs alone, on the average of these processes."""
    return sum(psutil.Process(pid).memory_full_info().uss for pid in pids) / len(pids) / 1e6


@contextmanager
def running(
    command: Sequence[str | Path], environment: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends with the block; what it prints goes to `log`."""
    with log.open("wb") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=subprocess.STDOUT, env=dict(environment))
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until(
    ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path, patience_s: float
) -> float:
    """Seconds until `ready`; RuntimeError, with the end of its log, for a process that never is."""
    began = time.perf_counter()
    while not ready():
        if process.poll() is not None or time.perf_counter() - began > patience_s:
            raise RuntimeError(f"{process.args!r} did not start:\n{log.read_text(errors='replace')[-3_000:]}")
        time.sleep(POLL_S)
    return time.perf_counter() - began


def python(*arguments: str) -> list[str | Path]:
    return [sys.executable, *arguments]


@contextmanager
def folder() -> Iterator[Path]:
    """A private one with a short name, for a unix socket's path may not be long."""
    with tempfile.TemporaryDirectory(prefix="bench-") as path:
        yield Path(path)
