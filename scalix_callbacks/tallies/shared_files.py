"""What all workers have counted: the sum over those that live and those that have died."""

import fcntl
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector

MAX_FILES = 16
"""Of dead workers; beyond, what they counted is added up in one file of each kind."""
_LOCK = "reading.lock"
_OF_THE_DEAD = 0
"""Stands for the process id of all of them; none has it."""


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def exposition(folder: Path, *, lives: Callable[[int], bool] = is_alive) -> bytes:
    """All workers' numbers in Prometheus' text format.

    The gauges of a dead worker go; what it counted stays for as long as the launcher runs.
    """
    # One reader at a time: none may read while another adds files up.
    with (folder / _LOCK).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _bury(folder, lives)
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call]  # has no types
        return generate_latest(registry)


def _bury(folder: Path, lives: Callable[[int], bool]) -> None:
    dead = {pid for path in folder.glob("*.db") if (pid := _pid(path)) != _OF_THE_DEAD and not lives(pid)}
    for pid in dead:
        for path in folder.glob(f"gauge_*_{pid}.db"):
            path.unlink(missing_ok=True)
    for kind in ("counter", "histogram"):
        files = [folder / f"{kind}_{pid}.db" for pid in dead]
        files = [path for path in files if path.exists()]
        if len(files) > MAX_FILES:
            _add_up(folder / f"{kind}_{_OF_THE_DEAD}.db", files)


def _pid(path: Path) -> int:
    word = path.stem.rsplit("_", 1)[-1]
    return int(word) if word.isdigit() else _OF_THE_DEAD


def _add_up(into: Path, files: Iterable[Path]) -> None:
    sums: dict[str, float] = {}
    files = list(files)
    for path in (into, *files):
        with suppress(FileNotFoundError):
            for key, value, *_ in MmapedDict.read_all_values_from_file(path):  # type: ignore[no-untyped-call]
                sums[key] = sums.get(key, 0.0) + value
    fresh = into.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    made = MmapedDict(str(fresh))  # type: ignore[no-untyped-call]
    for key, value in sums.items():
        made.write_value(key, value, 0.0)  # type: ignore[no-untyped-call]
    made.close()  # type: ignore[no-untyped-call]
    fresh.replace(into)
    for path in files:
        path.unlink()
