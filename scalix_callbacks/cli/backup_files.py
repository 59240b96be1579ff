"""What lies in a backup, with the manifest that makes it one."""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalix_callbacks.settings.errors import shown

FORMAT = 1
MANIFEST = "manifest.json"
DATABASE = "scalix.db"
REDIS = "redis"
MAX_MANIFEST_BYTES = 1_000_000
_CHUNK = 1_000_000
_NAME = re.compile(r"scalix\.db|redis(/[A-Za-z0-9_-][A-Za-z0-9._-]*){1,2}", re.ASCII)


class BadBackup(Exception):
    """It cannot be restored; `str()` is one sentence that says why."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says about itself.

    Attributes:
        files: path in the backup → SHA-256.
        holds: `ledger.backup.Holding` in JSON.
    """

    at: str
    version: str
    files: Mapping[str, str]
    holds: Mapping[str, Any]

    def write(self, folder: Path) -> None:
        """Last of all: a backup without it was not finished."""
        told = {
            "format": FORMAT,
            "at": self.at,
            "version": self.version,
            "files": dict(self.files),
            "holds": dict(self.holds),
        }
        with open_new(folder / MANIFEST) as sink:
            sink.write(json.dumps(told, indent=2).encode())
            sink.flush()
            os.fsync(sink.fileno())
        sync_folder(folder)


def read_manifest(folder: Path) -> Manifest:
    """Raises BadBackup; OSError: it cannot be read."""
    path = folder / MANIFEST
    if not path.is_file():
        raise BadBackup(f"{folder}: holds no {MANIFEST}, so it is no backup, or one that was not finished.")
    with path.open("rb") as source:
        raw = source.read(MAX_MANIFEST_BYTES + 1)
    try:
        told = json.loads(raw) if len(raw) <= MAX_MANIFEST_BYTES else None
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise BadBackup(f"{path}: is no manifest of a backup. Take another backup.")
    if told.get("format") != FORMAT:
        raise BadBackup(
            f"{path}: is of a format that this version does not know. Restore it by the version that made it."
        )
    at, version, files, holds = (told.get(name) for name in ("at", "version", "files", "holds"))
    if not (
        isinstance(at, str)
        and isinstance(version, str)
        and isinstance(holds, dict)
        and isinstance(files, dict)
        and DATABASE in files
        and all(isinstance(digest, str) for digest in files.values())
    ):
        raise BadBackup(f"{path}: is no manifest of a backup. Take another backup.")
    for name in files:
        if not _NAME.fullmatch(name):
            raise BadBackup(f"{path}: names {shown(name)}, which is in no backup. Take another backup.")
    return Manifest(at, version, files, holds)


def copy_file(source: Path, target: Path) -> str:
    """Copies a file for this user's eyes alone, on to the disk. Returns its SHA-256.

    Raises:
        OSError: also where the target exists, or the source is a link.
    """
    digest = hashlib.sha256()
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(source, os.O_RDONLY | os.O_NOFOLLOW), "rb") as read, open_new(target) as sink:
        while chunk := read.read(_CHUNK):
            digest.update(chunk)
            sink.write(chunk)
        sink.flush()
        os.fsync(sink.fileno())
    return digest.hexdigest()


def digest_of(path: Path) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def open_new(path: Path) -> Any:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def sync_folder(folder: Path) -> None:
    """A name is on the disk only when its folder is."""
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
