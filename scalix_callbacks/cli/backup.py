"""A backup of the embedded Redis and an SQLite database, also while the gateway runs."""

import asyncio
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from scalix_callbacks.cli.backup_files import (
    DATABASE,
    MANIFEST,
    REDIS,
    BadBackup,
    Manifest,
    copy_file,
    digest_of,
)
from scalix_callbacks.cli.data_dir import DataDir
from scalix_callbacks.cli.embedded_redis import url_of_socket
from scalix_callbacks.cli.file_lock import claim, take
from scalix_callbacks.cli.running import Running, find_running
from scalix_callbacks.ledger.backup import copy_sqlite, holding, sqlite_file
from scalix_callbacks.ledger.database import connect
from scalix_callbacks.settings import Settings
from scalix_callbacks.store.connection import connect as connect_redis
from scalix_callbacks.store.errors import StoreLost
from scalix_callbacks.store.snapshot import SnapshotFailed, save_snapshot

PREAMBLE = "appendonly.aof"
"""Redis reads a snapshot under this name as the begin of an append-only file: 6.2, and later ones as well."""
REDIS_ENDS_S = 10.0
_SNAPSHOT = "dump.rdb"


def back_up(settings: Settings, to: Path, now: datetime) -> Manifest:
    """Writes a backup into the new folder `to`.

    Redis first: a record that is in its outbox then is either still there or in the database later. The other
    way round it could be in neither.

    Raises:
        BadBackup: there is nothing that can be backed up this way, or not into that folder.
        DatabaseError: the database cannot be read.
        StartError: the data directory cannot be read.
        OSError: of a file.
    """
    data_dir, to = DataDir(settings.data_dir), to.absolute()
    engine = connect(settings.database_url)
    try:
        source = sqlite_file(engine)
        if source is None:
            raise BadBackup(
                "SCALIX_DATABASE_URL names a PostgreSQL: back it up with pg_dump, as docs/backup.md says."
            )
        if not source.is_file():
            raise BadBackup(f"{source}: no such file, so there is nothing to back up. Name the --data-dir.")
        _make_folder(to, data_dir.path)
        with _alone(data_dir):
            try:
                files = {} if settings.environment.redis_url else _redis(data_dir, to)
                copy_sqlite(engine, to / DATABASE)
                copy = connect(f"sqlite:///{to / DATABASE}")
                try:
                    holds = holding(copy)
                finally:
                    copy.dispose()
                files[DATABASE] = digest_of(to / DATABASE)
                manifest = Manifest(now.isoformat(), version("scalix-gateway"), files, holds.to_json())
                manifest.write(to)
            except BaseException:
                _clear(to)
                raise
    finally:
        engine.dispose()
    return manifest


def _make_folder(to: Path, data_dir: Path) -> None:
    if to.is_relative_to(data_dir):
        raise BadBackup(f"{to}: lies in the data directory, and would be lost with it. Name another folder.")
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise BadBackup(f"{to}: exists and is not empty. Name a new folder.")
    to.mkdir(mode=0o700, parents=True, exist_ok=True)
    to.chmod(0o700)


@contextmanager
def _alone(data_dir: DataDir) -> Iterator[None]:
    """One backup at a time."""
    lock = take(data_dir.path / "backup.lock", 0)
    if lock is None:
        raise BadBackup(f"{data_dir.path}: is being backed up already. Wait for that one.")
    try:
        yield
    finally:
        os.close(lock)


def _redis(data_dir: DataDir, to: Path) -> dict[str, str]:
    """The files as a Redis reads them when it starts, with their digests."""
    running = find_running(data_dir)
    return _of_files(data_dir, to) if running is None else _of_running(data_dir, running, to)


def _of_running(data_dir: DataDir, running: Running, to: Path) -> dict[str, str]:
    if running.state is None or not running.state.redis_socket:
        raise BadBackup(f"{data_dir.path}: the gateway is just starting. Try again in a moment.")
    written = data_dir.redis / _SNAPSHOT
    written.unlink(missing_ok=True)
    try:
        asyncio.run(_saved(url_of_socket(Path(running.state.redis_socket)), written))
        return {f"{REDIS}/{PREAMBLE}": copy_file(written, to / REDIS / PREAMBLE)}
    except SnapshotFailed:
        raise BadBackup(
            f"{data_dir.redis}: Redis could not write its snapshot there. Free space on the disk."
        ) from None
    except StoreLost:
        raise BadBackup("The embedded Redis does not answer. Try again once the gateway is well.") from None
    finally:
        written.unlink(missing_ok=True)


async def _saved(url: str, file: Path) -> None:
    redis = connect_redis(url)
    try:
        await save_snapshot(redis, file.exists)
    finally:
        await redis.aclose()


def _of_files(data_dir: DataDir, to: Path) -> dict[str, str]:
    """Nobody writes to them, and nobody shall begin to."""
    with held(data_dir):
        found = [
            path for path in sorted(data_dir.redis.rglob("*")) if path.is_file() and path.name != _SNAPSHOT
        ]
        return {
            (name := f"{REDIS}/{path.relative_to(data_dir.redis)}"): copy_file(path, to / name)
            for path in found
            if not path.name.startswith("temp-")
        }


@contextmanager
def held(data_dir: DataDir) -> Iterator[None]:
    """No gateway runs on the directory, and none can start.

    Raises:
        BadBackup: one does.
        StartError: the directory cannot be read.
    """
    running = find_running(data_dir)
    claimed = claim(data_dir.launcher_lock) if running is None else None
    if claimed is None:
        raise BadBackup(f"{data_dir.path}: a gateway runs here. Stop it with --stop first.")
    keeper = take(data_dir.keeper_lock, REDIS_ENDS_S)
    try:
        if keeper is None:
            raise BadBackup(
                f"{data_dir.path}: the Redis of a killed gateway still runs. Try again in a moment."
            )
        yield
    finally:
        if keeper is not None:
            os.close(keeper)
        os.close(claimed)


def _clear(folder: Path) -> None:
    """Half a backup looks like one."""
    shutil.rmtree(folder / REDIS, ignore_errors=True)
    for name in (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", MANIFEST):
        (folder / name).unlink(missing_ok=True)
