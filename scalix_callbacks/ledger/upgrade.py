"""Which schema a database has, brought to today's when it is older."""

import threading
from enum import StrEnum
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect

from scalix_callbacks.ledger.engine import migrating, reading
from scalix_callbacks.ledger.errors import DatabaseError, shown
from scalix_callbacks.ledger.schema import VERSION_TABLE

_MIGRATIONS = Path(__file__).with_name("migrations")
_alembic_lock = threading.Lock()  # Alembic keeps the run in progress in module globals


class SchemaState(StrEnum):
    """How a database stands to this package's schema."""

    EMPTY = "empty"  # no tables: `migrate` will make them
    BEHIND = "behind"  # ours, of an older version: `migrate` will bring it up
    CURRENT = "current"
    FOREIGN = "foreign"  # another program's, or a newer version's: hands off


def schema_state(engine: Engine) -> SchemaState:
    """How the database stands to this package's schema. Changes nothing.

    Raises:
        DatabaseError: it cannot be read.
    """
    with reading(engine) as connection:
        return _state(connection)


def migrate(engine: Engine) -> None:
    """Bring the database to today's schema, all of it or nothing. Any number of processes may do so at once.

    Raises:
        DatabaseError: it cannot be written, or is another program's or a newer version's.
    """
    if schema_state(engine) is SchemaState.CURRENT:
        return
    with _alembic_lock, migrating(engine) as connection:
        match _state(connection):
            case SchemaState.CURRENT:  # another process was faster
                return
            case SchemaState.FOREIGN:
                raise DatabaseError(_foreign_sentence(connection, shown(engine.url)))
            case SchemaState.EMPTY | SchemaState.BEHIND:
                config = _config(_MIGRATIONS)
                config.attributes["connection"] = connection
                config.attributes["version_table"] = VERSION_TABLE
                command.upgrade(config, "head")


def _state(connection: Connection) -> SchemaState:
    tables = {*inspect(connection).get_table_names()}
    versions = _versions(connection)
    if not tables:
        return SchemaState.EMPTY
    if versions == (_script(_MIGRATIONS).get_current_head(),):
        return SchemaState.CURRENT
    if versions and _known_versions().issuperset(versions):
        return SchemaState.BEHIND
    return SchemaState.FOREIGN


def _foreign_sentence(connection: Connection, place: str) -> str:
    versions = _versions(connection)
    if not versions:
        return f"The database {place} holds the tables of another program: name an empty one."
    return (
        f"The database {place} has schema version {', '.join(versions)}, which this version does not know: "
        "install the version that made it, or name another database."
    )


def _versions(connection: Connection) -> tuple[str, ...]:
    return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_heads()


def _known_versions() -> set[str]:
    return {script.revision for script in _script(_MIGRATIONS).walk_revisions()}


@cache
def _script(migrations: Path) -> ScriptDirectory:
    return ScriptDirectory.from_config(_config(migrations))


def _config(migrations: Path) -> Config:
    config = Config()
    # As an option of a configuration file it may not hold a bare percent sign.
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    return config
