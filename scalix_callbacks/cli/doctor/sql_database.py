"""Whether the ledger's database is there, ours, and can be written."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, Engine, text

from scalix_callbacks.cli.doctor.finding import Finding, broken, ok, told, unknown, warning
from scalix_callbacks.cli.doctor.subject import Subject
from scalix_callbacks.cli.ledger_database import check_place, sqlite_file
from scalix_callbacks.ledger.database import DatabaseError, SchemaState, connect, schema_state, writing
from scalix_callbacks.ledger.schema import VERSION_TABLE, metadata

_FOREIGN = "It holds the tables of another program, or of a newer version."
_ANOTHER = "Name another one in SCALIX_DATABASE_URL."


def examine(subject: Subject) -> Iterator[Finding]:
    if subject.environment is None:
        yield unknown("database")
    else:
        yield from of(subject.environment.database_url, subject.data_dir.path)


def of(url: str, data_dir: Path | None = None) -> Iterator[Finding]:
    """Of the database at `url`; changes nothing in it. `data_dir` need not be there yet."""
    file = sqlite_file(url)
    if file is not None and not file.exists():
        try:
            check_place(file, data_dir)
        except DatabaseError as error:
            yield told("database", error)
        else:
            yield ok("database", "Its file does not exist yet; the first start makes it.")
        return
    if file is not None and _is_another_programs(file):
        # Before the ledger opens it: that would change the file's journal mode.
        yield broken("database", _FOREIGN, _ANOTHER)
        return
    try:
        engine = connect(url)
    except DatabaseError as error:
        yield told("database", error)
        return
    try:
        state = schema_state(engine)
        yield _schema(state)
        if state is not SchemaState.FOREIGN:
            _try_to_write(engine, state)
            yield ok("database writable", "Yes.")
    except DatabaseError as error:
        yield told("database", error)
    finally:
        engine.dispose()


def _schema(state: SchemaState) -> Finding:
    match state:
        case SchemaState.CURRENT:
            return ok("database", "It answers, and its schema is this version's.")
        case SchemaState.EMPTY:
            return ok("database", "It answers and is empty; the first start makes its tables.")
        case SchemaState.BEHIND:
            return warning(
                "database",
                "Its schema is an older version's; the next start brings it up.",
                "Make a backup before that start.",
            )
        case SchemaState.FOREIGN:
            return broken("database", _FOREIGN, _ANOTHER)


def _try_to_write(engine: Engine, state: SchemaState) -> None:
    """Asks for the right to write without writing.

    Raises:
        DatabaseError: there is none.
    """
    with writing(engine) as connection:
        if state is SchemaState.CURRENT:
            for table in metadata.sorted_tables:
                # Takes no row, but needs the right to insert, and fails on a read-only server.
                connection.execute(text(f"INSERT INTO {table.name} SELECT * FROM {table.name} WHERE 1 = 0"))
        elif not _may_make_tables(connection):
            raise DatabaseError(
                "The user of the database may not make tables. Grant it CREATE on the schema."
            )


def _may_make_tables(connection: Connection) -> bool:
    if connection.dialect.name != "postgresql":
        return True
    question = text(
        "SELECT current_setting('transaction_read_only') = 'off'"
        " AND has_schema_privilege(current_schema(), 'CREATE')"
    )
    return bool(connection.execute(question).scalar())


def _is_another_programs(file: Path) -> bool:
    """Whether there are tables, but none of ours. False also where that cannot be told."""
    try:
        connection = sqlite3.connect(f"file:{quote(str(file.absolute()))}?mode=ro", uri=True)
        try:
            names = {
                str(name)
                for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            }
        finally:
            connection.close()
    except sqlite3.Error:
        return False
    return bool(names) and VERSION_TABLE not in names
