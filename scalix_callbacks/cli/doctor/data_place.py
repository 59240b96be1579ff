"""Whether the data directory can be used, is private, and has room."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from scalix_callbacks.cli.data_dir import DataDir
from scalix_callbacks.cli.doctor.finding import Finding, broken, ok, told, warning
from scalix_callbacks.cli.doctor.subject import Subject
from scalix_callbacks.cli.start_error import StartError

LITTLE_BYTES = 1_000_000_000
TOO_LITTLE_BYTES = 100_000_000


def examine(subject: Subject) -> Iterator[Finding]:
    yield directory(subject.data_dir)
    yield room(shutil.disk_usage(_nearest(subject.data_dir.path)).free)


def directory(data_dir: DataDir) -> Finding:
    path = data_dir.path
    try:
        data_dir.check()
    except StartError as error:
        return told("data directory", error)
    if not path.exists():
        return ok("data directory", f"{path} will be made at the first start.")
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        return warning(
            "data directory", f"{path} is open to other users (mode {mode:04o}).", f"chmod 700 {path}"
        )
    return ok("data directory", f"{path} can be written (mode {mode:04o}).")


def room(free_bytes: int) -> Finding:
    """Of the free bytes on the data directory's disk."""
    shown = f"{free_bytes / 1e9:,.1f} GB are free."
    if free_bytes < TOO_LITTLE_BYTES:
        return broken("disk", shown, "Free some space: without it neither Redis nor the ledger can write.")
    if free_bytes < LITTLE_BYTES:
        return warning("disk", shown, "Free some space soon.")
    return ok("disk", shown)


def _nearest(path: Path) -> Path:
    return next(place for place in (path, *path.parents) if place.exists())
