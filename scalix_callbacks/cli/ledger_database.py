"""The ledger's database as commands open it: what is wrong names the setting that leads there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, make_url
from sqlalchemy.exc import ArgumentError

from scalix_callbacks.ledger.database import DatabaseError, connect
from scalix_callbacks.settings import Settings


@contextmanager
def opened(settings: Settings) -> Iterator[Engine]:
    """An engine for the database, disposed of at the end.

    Raises:
        DatabaseError: its sentence begins with SCALIX_DATABASE_URL, unless that is left at its default.
    """
    try:
        engine = connect(settings.database_url)
        try:
            yield engine
        finally:
            engine.dispose()
    except DatabaseError as error:
        if settings.database_url == f"sqlite:///{settings.data_dir / 'scalix.db'}":
            raise
        raise DatabaseError(f"SCALIX_DATABASE_URL: {error}") from error


def sqlite_file(url: str) -> Path | None:
    """None: another kind of database, or nothing that can be understood."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return None
    if (
        parsed.get_backend_name() != "sqlite"
        or not parsed.database
        or parsed.database.startswith(("file:", ":"))
    ):
        return None
    return Path(parsed.database).absolute()


def check_place(file: Path, data_dir: Path | None) -> None:
    """Refuses a folder in which no start could make `file`; the data directory, starts make themselves.

    Raises:
        DatabaseError: names the folder and the mend.
    """
    folder = file.parent
    if folder == data_dir:
        return
    if not folder.is_dir():
        raise DatabaseError(f"There is no folder {folder} for the database. Make it, or correct the path.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise DatabaseError(f"The database's folder {folder} cannot be written. Let this user write there.")
