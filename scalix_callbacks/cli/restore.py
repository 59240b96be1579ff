"""A backup put back into a data directory in which there is nothing, proven before it counts."""

import os
import shutil
from pathlib import Path

from sqlalchemy import Engine

from scalix_callbacks.cli.backup import held
from scalix_callbacks.cli.backup_files import (
    DATABASE,
    REDIS,
    BadBackup,
    Manifest,
    copy_file,
    digest_of,
    read_manifest,
    sync_folder,
)
from scalix_callbacks.cli.data_dir import DataDir
from scalix_callbacks.ledger.backup import Holding, mend_copy, sqlite_file
from scalix_callbacks.ledger.database import connect
from scalix_callbacks.settings import Settings

_BEING_MADE = "restoring"


def restore(settings: Settings, source: Path) -> tuple[Manifest, Holding]:
    """Puts back what `backup.back_up` wrote; says what the database holds now.

    Nothing is overwritten: database and Redis must be gone, or moved away.

    Raises:
        BadBackup: it is none, was changed, or there is no place for it.
        DatabaseError: the database in it is damaged, or of a newer version.
        StartError: the data directory cannot be used.
        OSError: of a file.
    """
    source = source.absolute()
    manifest = read_manifest(source)
    _check(source, manifest)
    data_dir = DataDir(settings.data_dir)
    target = _database_file(settings)
    data_dir.prepare()
    with held(data_dir):
        _refuse_present(target, data_dir.redis)
        made = data_dir.path / _BEING_MADE
        shutil.rmtree(made, ignore_errors=True)  # of one that was killed
        try:
            for name, digest in manifest.files.items():
                if copy_file(source / name, made / name) != digest:
                    raise BadBackup(f"{source / name}: was changed while it was read. Try again.")
            holds = _proven(made / DATABASE, manifest)
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if (made / REDIS).exists() and settings.environment.redis_url is None:
                (made / REDIS).rename(data_dir.redis)
            # Last: with it there is something that a gateway would start on.
            _move(made / DATABASE, target)
            sync_folder(data_dir.path)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    return manifest, holds


def _check(source: Path, manifest: Manifest) -> None:
    for name, digest in manifest.files.items():
        path = source / name
        if not path.is_file():
            raise BadBackup(f"{path}: is missing, though {source} says it has it. Take another backup.")
        if digest_of(path) != digest:
            raise BadBackup(f"{path}: is not as it was written. Take another backup.")


def _database_file(settings: Settings) -> Path:
    engine = connect(settings.database_url)
    try:
        file = sqlite_file(engine)
    finally:
        engine.dispose()
    if file is None:
        raise BadBackup(
            "SCALIX_DATABASE_URL names a PostgreSQL: restore it with pg_restore, as docs/backup.md says."
        )
    return file


def _refuse_present(database: Path, redis: Path) -> None:
    logs = [database.with_name(database.name + ending) for ending in ("-wal", "-shm")]
    for path in (database, *logs, redis):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
        elif path.exists():
            raise BadBackup(f"{path}: is there already, and is not overwritten. Move it away first.")


def _proven(database: Path, manifest: Manifest) -> Holding:
    engine: Engine = connect(f"sqlite:///{database}")
    try:
        holds = mend_copy(engine)
    finally:
        engine.dispose()
    if holds.to_json() != dict(manifest.holds):
        raise BadBackup(f"{database}: holds something else than its manifest says. Take another backup.")
    return holds


def _move(source: Path, target: Path) -> None:
    """Also to another file system, without a moment at which half of it is there."""
    near = target.with_name(f"{target.name}.{_BEING_MADE}")
    near.unlink(missing_ok=True)
    copy_file(source, near)
    os.replace(near, target)
    sync_folder(target.parent)
