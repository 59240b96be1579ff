"""How SQLite and PostgreSQL are opened, read and written: the same promises from both."""

import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from scalix_callbacks.ledger.errors import DatabaseError, database_error, holds_secret

_LOCK_TIMEOUT_MS = 5_000
_LOCK_PAUSE_S = 0.01
_POOL_TIMEOUT_S = 5
_ROWS_PER_INSERT = 16
"""Each number of rows is a statement of its own, which the driver keeps: 60 MB for batches of all sizes."""
_SQLITE_STATEMENTS = 32
"""What a connection keeps: each number of values in an `IN (…)` is a statement of its own, too."""
_MIGRATION_LOCK = 0x5CA11C5  # any number will do, if no other program on the server takes it
_MIGRATION_LOCK_TIMEOUT_MS = 60_000

# A server that vanished is noticed in about 20 s, also in the middle of a query.
_POSTGRESQL_ARGUMENTS: Mapping[str, int] = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 20_000,
}


def connect(url: str) -> Engine:
    """An engine for `url` (`sqlite:///FILE` or `postgresql://…`). Opens no connection yet; `dispose()` it.

    Use it by `reading` and `writing`, which translate the driver's errors. The folder of an SQLite file
    must exist.

    Raises:
        DatabaseError: the URL is not one of a database that can be used here.
    """
    parsed = _parse(url)
    if parsed.drivername == "sqlite":
        return _sqlite(parsed)
    arguments = {name: value for name, value in _POSTGRESQL_ARGUMENTS.items() if name not in parsed.query}
    return _create(parsed, pool_pre_ping=True, connect_args=arguments)


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection to read by, on one snapshot on SQLite and per statement on PostgreSQL.

    Raises:
        DatabaseError: in place of the driver's errors.
    """
    with _translated(engine), engine.connect() as connection:
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A connection in a transaction that is committed at the end, or undone by any exception.

    On SQLite it holds the write lock from its start, so that it never fails half-way for want of it.

    Raises:
        DatabaseError: in place of the driver's errors, also after 5 s of waiting for another writer. Nothing
            was changed then, unless the connection broke during the commit itself: that is unknown.
    """
    with _translated(engine), engine.connect() as connection:
        connection.execution_options(sqlite_begin="IMMEDIATE")
        with connection.begin():
            _limit_waiting(connection, _LOCK_TIMEOUT_MS)
            yield connection


@contextmanager
def migrating(engine: Engine) -> Iterator[Connection]:
    """As `writing`, and alone: of several processes the others wait until this one is done.

    Raises:
        DatabaseError: in place of the driver's errors, also when the wait took too long.
    """
    with _translated(engine), engine.connect() as connection:
        connection.execution_options(sqlite_begin="EXCLUSIVE")
        with connection.begin():
            _limit_waiting(connection, _MIGRATION_LOCK_TIMEOUT_MS)
            if engine.dialect.name == "postgresql":
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
            yield connection


def _limit_waiting(connection: Connection, timeout_ms: int) -> None:
    if connection.dialect.name == "postgresql":  # on SQLite it is set once, when the connection is made
        connection.execute(text(f"SET LOCAL lock_timeout = {timeout_ms}"))


@contextmanager
def _translated(engine: Engine) -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        # The cause goes along for the log, unless it would carry the password there.
        raise database_error(error, engine.url) from (None if holds_secret(str(error), engine.url) else error)


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # the text of these repeats the URL
        parsed = None
    if parsed is None:
        raise DatabaseError(
            "The database URL is not one: write sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME."
        )
    match parsed.drivername:
        case "sqlite" | "sqlite+pysqlite":
            return _sqlite_url(parsed)
        case "postgres" | "postgresql" | "postgresql+psycopg":
            if url.partition("?")[0].count("@") > 1:  # else a piece of the password is shown as the host
                raise DatabaseError(
                    "The database URL holds several @: write %40 for one inside the password."
                )
            return parsed.set(drivername="postgresql+psycopg")
        case _:
            raise DatabaseError(
                "The database URL names an unknown kind of database: use sqlite:/// or postgresql://."
            )


def _sqlite_url(url: URL) -> URL:
    name = url.database or ":memory:"
    if name.startswith((":memory:", "file::memory:")) or url.query.get("mode") == "memory":
        raise DatabaseError("An SQLite database in memory would forget every account: name a file.")
    return url.set(drivername="sqlite")


def _sqlite(url: URL) -> Engine:
    engine = _create(url, connect_args={"cached_statements": _SQLITE_STATEMENTS})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _create(url: URL, **options: Any) -> Engine:
    return create_engine(
        url,
        pool_timeout=_POOL_TIMEOUT_S,
        insertmanyvalues_page_size=_ROWS_PER_INSERT,
        hide_parameters=True,
        **options,
    )


def _prepare_sqlite(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    assert isinstance(connection, sqlite3.Connection)
    # sqlite3 would begin transactions by itself, but not for reads and DDL: _begin_sqlite does it for all.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {_LOCK_TIMEOUT_MS}")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")
    _use_write_ahead_log(connection)


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Several processes may open a new file at once; SQLite fails all but one, without the busy time-out."""
    deadline = time.monotonic() + _LOCK_TIMEOUT_MS / 1_000
    # Asked first: the mode stays with the file, and a file that may only be read can still be read.
    while connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_LOCK_PAUSE_S)


def _begin_sqlite(connection: Connection) -> None:
    kind = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {kind}")
