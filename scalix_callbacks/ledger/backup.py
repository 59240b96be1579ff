"""Copies of an SQLite database that is in use, and what a database holds, to compare a copy by."""

import os
import sqlite3
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, func, select

from scalix_callbacks.ledger.audit import AuditLog
from scalix_callbacks.ledger.database import DatabaseError, SchemaState, migrate, reading, schema_state
from scalix_callbacks.ledger.errors import shown
from scalix_callbacks.ledger.schema import accounts, api_keys, usage_records


@dataclass(frozen=True, slots=True)
class Holding:
    """How much there is of what must last, and the seal of its audit log.

    Attributes:
        audit_problem: why the audit log is not as it was written; None: it is.
    """

    accounts: int
    keys: int
    records: int
    audit_entries: int
    audit_hash: str
    audit_problem: str | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def sqlite_file(engine: Engine) -> Path | None:
    """The file of a database; None: it is on a server.

    Raises:
        DatabaseError: it is named by an SQLite URI, which may say anything.
    """
    if engine.dialect.name != "sqlite":
        return None
    name = engine.url.database or ""
    if name.startswith("file:"):
        raise DatabaseError("The database URL holds an SQLite URI: name its file, as in sqlite:////var/x.db.")
    return Path(name).absolute()


def holding(engine: Engine) -> Holding:
    """Raises DatabaseError."""
    with reading(engine) as connection:
        of_accounts, of_keys, of_records = (
            int(connection.execute(select(func.count()).select_from(table)).scalar_one())
            for table in (accounts, api_keys, usage_records)
        )
    verdict = AuditLog(engine).verify()
    return Holding(of_accounts, of_keys, of_records, verdict.entries, verdict.hash, verdict.problem)


def copy_sqlite(engine: Engine, to: Path) -> None:
    """Writes the database as it is at one moment to a new file; others may write to it meanwhile.

    Raises:
        DatabaseError: it is not one of this version, or cannot be read or written.
    """
    match schema_state(engine):
        case SchemaState.CURRENT:
            pass
        case SchemaState.EMPTY:
            raise DatabaseError(f"The database {shown(engine.url)} is empty: there is nothing to back up.")
        case SchemaState.BEHIND | SchemaState.FOREIGN:
            raise DatabaseError(
                f"The database {shown(engine.url)} has another version's schema: back it up with that one."
            )
    os.close(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with reading(engine) as connection:
            source = connection.connection.driver_connection
            assert isinstance(source, sqlite3.Connection)
            target = sqlite3.connect(to)
            try:
                # All in one step: a step of its own for some pages begins anew whenever somebody writes.
                source.backup(target)
            finally:
                target.close()
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        raise DatabaseError(
            f"The database {shown(engine.url)} could not be copied to {to} ({name}): mend that file or free"
            " space on the disk."
        ) from error


def mend_copy(engine: Engine) -> Holding:
    """Proves that a copy is whole, brings it to today's schema, and says what it holds.

    Raises:
        DatabaseError: it is damaged, or of a newer version.
    """
    with reading(engine) as connection:
        found = connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar()
    if found != "ok":
        raise DatabaseError(f"The database {shown(engine.url)} is damaged: take another backup.")
    migrate(engine)
    return holding(engine)
