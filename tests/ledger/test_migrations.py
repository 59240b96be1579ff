"""The way from an empty database to today's schema."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, inspect, text

from scalix_callbacks.ledger import upgrade
from scalix_callbacks.ledger.database import DatabaseError, migrate, schema_state, writing
from scalix_callbacks.ledger.schema import VERSION_TABLE, metadata

MIGRATE = """
import sys
from scalix_callbacks.ledger.database import connect, migrate, schema_state
engine = connect(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
migrate(engine)
print(schema_state(engine))
engine.dispose()
"""

NEXT_VERSION = """
import sqlalchemy as sa
from alembic import op

revision = "9000"
down_revision = "{newest}"

def upgrade():
    op.create_table("later", sa.Column("id", sa.Integer, primary_key=True))
"""


@pytest.fixture
def newer_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The migrations of a later release: one step more. Returns the file of that step."""
    folder = tmp_path / "migrations"
    shutil.copytree(Path(upgrade.__file__).with_name("migrations"), folder)
    newest = max(path.stem[1:5] for path in (folder / "versions").glob("v*.py"))
    step = folder / "versions" / "v9000_later.py"
    step.write_text(NEXT_VERSION.format(newest=newest))
    monkeypatch.setattr(upgrade, "_MIGRATIONS", folder)
    return step


def tables(engine: Engine) -> set[str]:
    return {*inspect(engine).get_table_names()}


def test_an_empty_database_becomes_current(engine: Engine) -> None:
    """The first start makes all tables; the second one finds them."""
    assert "empty" == schema_state(engine)
    migrate(engine)
    assert "current" == schema_state(engine)
    migrate(engine)
    assert {*metadata.tables, VERSION_TABLE} == tables(engine)


def test_asking_for_the_state_changes_nothing(engine: Engine) -> None:
    """A health check does not set up a database."""
    schema_state(engine)

    assert set() == tables(engine)


def test_the_steps_lead_to_the_schema_of_the_code(migrated: Engine) -> None:
    """Code and migrations cannot drift apart unnoticed."""
    with migrated.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        differences = compare_metadata(context, metadata)

    assert [] == differences


def test_four_processes_may_migrate_at_once(database_url: str) -> None:
    """Workers started together on a new database all come up."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", MIGRATE, database_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert "ready\n" == process.stdout.readline()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=60)[0] for process in processes]

    assert ["current\n"] * 4 == outputs
    assert [0] * 4 == [process.returncode for process in processes]


def test_a_database_of_another_program_is_left_alone(engine: Engine) -> None:
    """Our tables do not appear among somebody else's."""
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE invoices (id INTEGER)"))

    assert "foreign" == schema_state(engine)
    with pytest.raises(DatabaseError, match="holds the tables of another program: name an empty one"):
        migrate(engine)
    assert {"invoices"} == tables(engine)


def test_a_database_of_a_newer_version_is_left_alone(migrated: Engine) -> None:
    """An older release started by mistake says so instead of damaging the data."""
    with writing(migrated) as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))

    assert "foreign" == schema_state(migrated)
    with pytest.raises(DatabaseError, match="has schema version 9999, which this version does not know"):
        migrate(migrated)


def test_a_database_of_an_older_version_is_brought_up(migrated: Engine, newer_package: Path) -> None:
    """An upgrade of the package upgrades the database at its first start."""
    assert "behind" == schema_state(migrated)
    migrate(migrated)
    assert "current" == schema_state(migrated)
    assert "later" in tables(migrated)


def test_a_step_that_fails_leaves_nothing_half_done(migrated: Engine, newer_package: Path) -> None:
    """A failed upgrade is as if it had not begun, and can be tried again."""
    newer_package.write_text(
        newer_package.read_text() + '    op.execute("INSERT INTO no_such_table VALUES (1)")\n'
    )

    with pytest.raises(DatabaseError):
        migrate(migrated)
    assert "behind" == schema_state(migrated)
    assert "later" not in tables(migrated)


def test_the_migrations_are_modules_of_the_package() -> None:
    """A wheel carries them without any list of data files."""
    folder = Path(upgrade.__file__).with_name("migrations")

    assert {".py"} == {
        path.suffix for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    }
    assert all((path / "__init__.py").is_file() for path in (folder, folder / "versions"))
