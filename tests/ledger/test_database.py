"""How databases are opened, and what their failures say."""

import socket
import sqlite3
import threading
import traceback
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from scalix_callbacks.ledger import engine as engine_module
from scalix_callbacks.ledger.accounts import Accounts
from scalix_callbacks.ledger.database import DatabaseError, connect, migrate, reading, schema_state, writing
from scalix_callbacks.ledger.errors import database_error

PASSWORD = "correct-horse-7f3a"


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def sentence_of(url: str) -> str:
    """What `migrate` says of a database, after checking that nothing tells the password."""
    with pytest.raises(DatabaseError) as caught:
        engine = connect(url)
        try:
            migrate(engine)
        finally:
            engine.dispose()
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))
    return str(caught.value)


def test_sqlite_is_opened_safely(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers do not block writers, no commit is lost to a power cut, and references hold."""
    monkeypatch.setattr(engine_module, "_LOCK_TIMEOUT_MS", 4_321)
    engine = connect(f"sqlite:///{tmp_path / 'x.db'}")
    with reading(engine) as one, reading(engine) as other:
        modes = [
            [connection.execute(text(f"PRAGMA {name}")).scalar() for connection in (one, other)]
            for name in ("journal_mode", "busy_timeout", "foreign_keys", "synchronous")
        ]
    engine.dispose()

    assert [["wal", "wal"], [4321, 4321], [1, 1], [2, 2]] == modes


def test_connecting_opens_nothing(tmp_path: Path) -> None:
    """A URL can be checked without touching the database."""
    connect(f"sqlite:///{tmp_path / 'x.db'}").dispose()

    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_each_way_to_write_postgresql_is_accepted(scheme: str) -> None:
    """URLs as hosting services hand them out work as they are."""
    engine = connect(f"{scheme}://u:{PASSWORD}@db.test/scalix")
    engine.dispose()

    assert "postgresql+psycopg" == engine.url.drivername


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (f"mysql://u:{PASSWORD}@h/d", "unknown kind of database: use sqlite:/// or postgresql://."),
        (f"postgresql+asyncpg://u:{PASSWORD}@h/d", "unknown kind of database"),
        (f"postgresql://u:{PASSWORD}@h:port/d", "The database URL is not one"),
        (f"u:{PASSWORD}@h/d", "The database URL is not one"),
        ("", "The database URL is not one"),
        (f"postgresql://u:p@{PASSWORD}@h/d", "write %40"),
        ("sqlite://", "in memory would forget"),
        ("sqlite:///:memory:", "in memory would forget"),
        ("sqlite:///file:x?mode=memory&uri=true", "in memory would forget"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused(url: str, expected: str) -> None:
    """A wrong URL is one sentence with the mend, without the URL, which may hold a password."""
    assert expected in sentence_of(url)


@pytest.mark.parametrize("password", [PASSWORD, "c%6frrect-horse-7f3a"])
def test_an_unreachable_postgresql_says_where_without_the_password(closed_port: int, password: str) -> None:
    """The operator sees which server does not answer, and no secret, not even in the traceback."""
    place = f"postgresql://scalix:***@127.0.0.1:{closed_port}/db"
    said = sentence_of(f"postgres://scalix:{password}@127.0.0.1:{closed_port}/db?connect_timeout=2")

    assert f"The database {place} cannot be reached or refuses the login" in said
    assert "Connection refused" in said


def test_a_password_among_the_options_is_hidden_too(closed_port: int) -> None:
    """libpq takes a password there as well."""
    said = sentence_of(f"postgresql://127.0.0.1:{closed_port}/db?password={PASSWORD}")

    assert f"postgresql://127.0.0.1:{closed_port}/db cannot be reached" in said


def test_accounts_speak_of_a_lost_database_in_the_same_way(closed_port: int) -> None:
    """Every reader of the ledger gets the one error, not the driver's."""
    engine = connect(f"postgresql://u:{PASSWORD}@127.0.0.1:{closed_port}/db")
    with pytest.raises(DatabaseError, match="cannot be reached"):
        Accounts(engine).find_key("0" * 64)
    engine.dispose()


@pytest.mark.parametrize(
    "url", [f"postgresql://u:{PASSWORD}@h/d", f"postgresql://u:x9@h/d?password={PASSWORD}"]
)
def test_a_driver_message_with_the_password_is_left_out(url: str) -> None:
    """What the driver says is shown, unless it repeats the password."""
    said = [
        str(database_error(DBAPIError("", None, psycopg.OperationalError(message)), make_url(url)))
        for message in ("no route to host\nsecond line", f"bad option {PASSWORD}")
    ]
    start = "The database postgresql://u:***@h/d cannot be reached or refuses the login: check URL and server"

    assert [f"{start} (no route to host).", f"{start}."] == said


def test_an_option_the_driver_refuses_is_a_sentence() -> None:
    """An unknown option in the URL is no traceback."""
    assert "check URL and server" in sentence_of(f"postgresql://u:{PASSWORD}@h/d?{PASSWORD}=1")


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        (psycopg.errors.ReadOnlySqlTransaction(), "is read-only: name the primary"),
        (
            psycopg.errors.InsufficientPrivilege("permission denied for schema public"),
            "lacks a right: grant it (perm",
        ),
        (psycopg.errors.LockNotAvailable(), "is locked by another process"),
        (psycopg.errors.DiskFull(), "disk of the database postgresql://h/d is full"),
        (psycopg.errors.AdminShutdown(), "broke the connection"),
        (psycopg.errors.ConnectionFailure(), "broke the connection"),
        (psycopg.errors.UniqueViolation(), "nothing was changed"),
        (psycopg.errors.UndefinedTable(), "failed with UndefinedTable (42P01)"),
    ],
)
def test_each_failure_of_postgresql_is_one_sentence(cause: psycopg.Error, expected: str) -> None:
    """The sentence says what to do, for every state of the server an operator may meet."""
    assert expected in str(database_error(DBAPIError("", None, cause), make_url("postgresql://h/d")))


def test_a_full_pool_is_one_sentence() -> None:
    """More threads than connections is not the database's fault."""
    assert "All connections" in str(database_error(PoolTimeoutError(), make_url("postgresql://h/d")))


def test_a_read_only_file_is_said(tmp_path: Path) -> None:
    """A database that may only be read cannot be set up, but one that is set up can be read."""
    path = tmp_path / "x.db"
    path.touch()
    url = f"sqlite:///file:{path}?mode=ro&uri=true"

    assert "is read-only: make the file and its folder writable" in sentence_of(url)

    engine = connect(f"sqlite:///{path}")
    migrate(engine)
    reader = connect(url)

    assert "current" == schema_state(reader)
    migrate(reader)
    with pytest.raises(DatabaseError, match="is read-only"):
        Accounts(reader).create_account("ada", "free")
    reader.dispose()
    engine.dispose()


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    """The folder is the caller's to make."""
    assert "cannot be opened: check that its folder exists" in sentence_of(f"sqlite:///{tmp_path}/none/x.db")


def test_a_file_of_another_kind_is_said_and_kept(tmp_path: Path) -> None:
    """Somebody's file is not overwritten."""
    path = tmp_path / "letter.txt"
    path.write_text("Dear reader, " * 200)

    assert "is not an SQLite database" in sentence_of(f"sqlite:///{path}")
    assert "Dear reader, " * 200 == path.read_text()


def test_a_damaged_file_is_said(tmp_path: Path) -> None:
    """Restoring is the mend of a file with garbage in it."""
    path = tmp_path / "x.db"
    engine = connect(f"sqlite:///{path}")
    migrate(engine)
    engine.dispose()
    content = path.read_bytes()
    path.write_bytes(content[:100] + b"\xff" * (len(content) - 100))

    assert "is damaged: restore it" in sentence_of(f"sqlite:///{path}")


def test_a_locked_file_is_said(tmp_path: Path) -> None:
    """Another program that keeps the file locked is named as the cause."""
    holder = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    waiter = sqlite3.connect(tmp_path / "x.db", isolation_level=None, timeout=0)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(sqlite3.OperationalError) as caught:
        waiter.execute("BEGIN IMMEDIATE")
    holder.close()
    waiter.close()

    assert "is locked by another process" in str(
        database_error(DBAPIError("", None, caught.value), make_url("sqlite:///x.db"))
    )


def test_a_change_behind_a_stuck_one_gives_up(
    migrated: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for ever for a transaction that does not end; reading goes on meanwhile."""
    monkeypatch.setattr(engine_module, "_LOCK_TIMEOUT_MS", 20)
    other = connect(database_url)
    with writing(migrated) as connection:
        connection.execute(text("UPDATE change_counter SET change_no = change_no + 1"))
        with pytest.raises(DatabaseError, match="is locked by another process"):
            Accounts(other).create_account("ada", "free")
        seen = Accounts(other).change_no()
    other.dispose()

    assert 0 == seen
    assert 1 == Accounts(migrated).change_no()


def test_an_unknown_failure_of_sqlite_names_its_kind() -> None:
    """What nobody foresaw still says what SQLite calls it."""
    said = database_error(DBAPIError("", None, sqlite3.InterfaceError("odd")), make_url("sqlite:///x.db"))

    assert "The database sqlite:///x.db failed with InterfaceError." == str(said)


def test_an_exception_undoes_a_transaction(migrated: Engine) -> None:
    """Nothing of a change remains when it fails before its end."""
    with pytest.raises(RuntimeError), writing(migrated) as connection:
        connection.execute(text("UPDATE change_counter SET change_no = 7"))
        raise RuntimeError

    assert 0 == Accounts(migrated).change_no()


def test_a_writer_that_read_first_still_commits(migrated: Engine) -> None:
    """Two transactions that read and then write wait for each other instead of failing."""
    both_ready = threading.Barrier(2)

    def raise_by_one() -> None:
        both_ready.wait()
        with writing(migrated) as connection:
            lock = "" if migrated.dialect.name == "sqlite" else " FOR UPDATE"
            known = connection.execute(text(f"SELECT change_no FROM change_counter{lock}")).scalar_one()
            connection.execute(text("UPDATE change_counter SET change_no = :n"), {"n": known + 1})

    threads = [threading.Thread(target=raise_by_one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 2 == Accounts(migrated).change_no()
