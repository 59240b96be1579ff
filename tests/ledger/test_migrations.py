"""The way from an empty database to today's schema."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, inspect, text

from scalix_callbacks.core.tiers import LimitOverride, Unit
from scalix_callbacks.ledger import upgrade
from scalix_callbacks.ledger.accounts import Accounts
from scalix_callbacks.ledger.database import DatabaseError, migrate, reading, schema_state, writing
from scalix_callbacks.ledger.engine import migrating
from scalix_callbacks.ledger.schema import VERSION_TABLE, metadata
from scalix_callbacks.ledger.usage_records import UsageRecords
from scalix_callbacks.ledger.usage_sums import Group, Span, UsageSums

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

RECORD = {
    **dict.fromkeys(("client_request_id", "provider", "cached_tokens", "reasoning_tokens", "error_category")),
    **dict.fromkeys(("provider_cost_usd", "duration_ms", "time_to_first_token_ms")),
    **{"request_id": "r", "user_id": "ada", "tier": "pro", "endpoint": "chat", "model_requested": "gpt-4.1"},
    **{"model_used": "gpt-4.1", "prompt_tokens": 5, "completion_tokens": 7, "requests_counted": 1},
    **{"outcome": "ok", "attempt": 1, "stream": False, "estimated": False, "windows": {}},
}

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


OLD_RECORD = """
    INSERT INTO usage_records (
        call_id, request_id, at, user_id, tier, endpoint, model_requested, model_used, prompt_tokens,
        completion_tokens, price_nano_usd, requests_counted, outcome, attempt, stream, estimated, windows
    ) VALUES (
        :call_id, 'r', :at, 'ada', :tier, 'chat', 'gpt-4.1', :model, 5,
        7, :price, 1, :outcome, 1, false, false, '{}'
    )
"""


@pytest.mark.parametrize("older", ["0002", "0003", "0004"])
def test_an_older_database_keeps_its_data(engine: Engine, older: str) -> None:
    """Accounts, keys and records of a former version are there afterwards, and so are their sums."""
    moments = ["2030-01-31 00:00:00.000000", "2030-01-31 23:59:59.999999", "2030-02-01 00:00:00.000000"]
    zone = "" if engine.dialect.name == "sqlite" else "+00"
    with migrating(engine) as connection:
        config = upgrade._config(upgrade._MIGRATIONS)
        config.attributes |= {"connection": connection, "version_table": VERSION_TABLE}
        command.upgrade(config, older)
        connection.execute(
            text("INSERT INTO accounts (id, tier, created_at, change_no) VALUES ('ada', 'pro', :at, 1)"),
            {"at": moments[0] + zone},
        )
        connection.execute(text("UPDATE change_counter SET change_no = 1"))
        for number, moment in enumerate(moments):
            row = {
                "call_id": f"c{number}",
                "at": moment + zone,
                "tier": "pro",
                "model": "gpt-4.1",
                "price": 9,
                "outcome": "ok" if number else "abandoned",
            }
            connection.execute(text(OLD_RECORD), row)
            odd = row | {"call_id": f"d{number}", "tier": None, "model": None, "price": None, "outcome": "ok"}
            connection.execute(text(OLD_RECORD), odd)
    assert "behind" == schema_state(engine)
    migrate(engine)

    assert "pro" == Accounts(engine).get_account("ada").tier
    assert ["c0", "d0", "c1", "d1", "c2", "d2"] == [
        record["call_id"] for record in UsageRecords(engine).page()[0]
    ]
    rows, _ = UsageSums(engine).page(Span(), (Group.DAY, Group.TIER))
    assert [
        ("2030-01-31", None, 2, 24, 0, 2),
        ("2030-01-31", "pro", 2, 24, 18, 0),
        ("2030-02-01", None, 1, 12, 0, 1),
        ("2030-02-01", "pro", 1, 12, 9, 0),
    ] == [
        (
            *row.group.values(),
            *(row.sums.calls, row.sums.total_tokens, row.sums.price_nano_usd, row.sums.price_unknown_calls),
        )
        for row in rows
    ]
    late = RECORD | {"call_id": "c0", "at": "2030-01-31T00:00:00Z", "price_usd": "0.000000010"}
    UsageRecords(engine).insert([(late, True)])  # the sums that were there before go on, under the same keys

    assert (6, 28) == (
        UsageSums(engine).total(Span()).calls,
        UsageSums(engine).total(Span()).price_nano_usd,
    )
    with reading(engine) as connection:
        assert 4 == connection.execute(text("SELECT count(*) FROM usage_daily")).scalar_one()


def test_an_account_of_before_consent_keeps_its_budget(engine: Engine) -> None:
    """Its window and its own limits are read from where they stand; nobody has agreed to anything."""
    with migrating(engine) as connection:
        config = upgrade._config(upgrade._MIGRATIONS)
        config.attributes |= {"connection": connection, "version_table": VERSION_TABLE}
        command.upgrade(config, "0005")
        connection.execute(
            text(
                "INSERT INTO accounts (id, tier, created_at, change_no, max_budget_nano_usd, budget_window_s,"
                " limit_overrides) VALUES ('ada', 'pro', :at, 1, 7, 3600, :limits)"
            ),
            {
                "at": "2030-01-31 00:00:00.000000" + ("" if engine.dialect.name == "sqlite" else "+00"),
                "limits": '[{"unit": "requests", "window_s": 60, "amount": 5}]',
            },
        )
    migrate(engine)
    account = Accounts(engine).get_account("ada")

    assert (7, 3_600, None) == (account.max_budget_nano_usd, account.budget_window_s, account.consented_at)
    assert (LimitOverride(Unit.REQUESTS, 60, 5),) == account.limit_overrides


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
