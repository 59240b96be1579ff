"""Copies of the ledger's databases hold what these held."""

import subprocess
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Engine, make_url

from scalix_callbacks.ledger.accounts import Accounts
from scalix_callbacks.ledger.audit import Actor
from scalix_callbacks.ledger.backup import copy_sqlite, holding, mend_copy, sqlite_file
from scalix_callbacks.ledger.database import DatabaseError, connect, migrate
from scalix_callbacks.ledger.usage_records import UsageRecords
from tests.postgresql_server import programs
from tests.records import call_record

DOCS = (Path(__file__).parents[2] / "docs" / "backup.md").read_text()


def filled(url: str) -> Engine:
    """Two accounts, a key, three records."""
    engine = connect(url)
    migrate(engine)
    accounts = Accounts(engine, actor=Actor.CLI)
    for name in ("ada", "bob"):
        accounts.create_account(name, "free")
    accounts.create_key("ada")
    UsageRecords(engine).insert(rows(0, 3))
    return engine


def rows(first: int, behind: int) -> list[tuple[dict[str, object], bool]]:
    return [(call_record(call_id=f"c{i}").to_json(), False) for i in range(first, behind)]


@pytest.fixture
def two_databases(postgresql_url: str) -> Iterator[tuple[str, str]]:
    """The URLs of two empty ones; what the other tests get are schemas of one."""
    names = [f"backup_{uuid.uuid4().hex}" for _ in range(2)]
    with psycopg.connect(postgresql_url, autocommit=True) as server:
        for name in names:
            server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        of, to = (make_url(postgresql_url).set(database=name) for name in names)
        yield of.render_as_string(hide_password=False), to.render_as_string(hide_password=False)
        for name in names:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def test_pg_dump_and_pg_restore_bring_all_of_it_back(two_databases: tuple[str, str], tmp_path: Path) -> None:
    """With docs/backup.md's own words: the same rows, an audit log that verifies, and records that fit in."""
    folder = programs()
    if folder is None or not (folder / "pg_dump").exists():
        pytest.skip("SCALIX_TEST_POSTGRES_URL names a server, and its programs are not here.")
    (url, new_url), dump = two_databases, tmp_path / "scalix.dump"
    engine = filled(url)
    before = holding(engine)
    engine.dispose()
    for words in (
        ("pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={dump}", url),
        ("pg_restore", "--exit-on-error", "--single-transaction", "--no-owner", f"--dbname={new_url}", dump),
    ):
        assert " ".join(map(str, words[:4])).rsplit(" ", 1)[0] in DOCS
        subprocess.run([folder / words[0], *words[1:]], check=True)
    restored = connect(new_url)
    migrate(restored)

    assert (2, 1, 3, None) == (before.accounts, before.keys, before.records, before.audit_problem)
    assert before == holding(restored)
    # What a Redis of a later moment hands in comes in once.
    assert 2 == UsageRecords(restored).insert(rows(1, 5))
    restored.dispose()


def test_a_copy_is_of_one_moment_while_others_write(tmp_path: Path) -> None:
    """Records come in batches of ten; a copy never has a part of one."""
    engine = filled(f"sqlite:///{tmp_path / 'scalix.db'}")
    enough = threading.Event()

    def write() -> None:
        number = 3
        while not enough.is_set():
            UsageRecords(engine).insert(rows(number, number + 10))
            number += 10

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for i in range(5):
            copy_sqlite(engine, tmp_path / f"copy-{i}.db")
    finally:
        enough.set()
        writer.join()
    counted = []
    for i in range(5):
        copy = connect(f"sqlite:///{tmp_path / f'copy-{i}.db'}")
        counted.append(mend_copy(copy).records)
        copy.dispose()
    engine.dispose()

    assert sorted(counted) == counted
    assert {3} == {count % 10 for count in counted}


def test_only_a_database_of_this_version_is_copied(tmp_path: Path) -> None:
    """Neither an empty one nor another program's."""
    empty = connect(f"sqlite:///{tmp_path / 'empty.db'}")
    foreign = connect(f"sqlite:///{tmp_path / 'foreign.db'}")
    with foreign.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE x (y INTEGER)")

    with pytest.raises(DatabaseError, match="is empty"):
        copy_sqlite(empty, tmp_path / "copy.db")
    with pytest.raises(DatabaseError, match="another version's schema"):
        copy_sqlite(foreign, tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()
    empty.dispose()
    foreign.dispose()


def test_a_damaged_copy_is_refused(tmp_path: Path) -> None:
    """SQLite finds what a checksum of ours would not: a page that was written wrongly."""
    engine = filled(f"sqlite:///{tmp_path / 'scalix.db'}")
    copy_sqlite(engine, tmp_path / "copy.db")
    engine.dispose()
    whole = bytearray((tmp_path / "copy.db").read_bytes())
    whole[4096 * 3 : 4096 * 6] = b"\xff" * (4096 * 3)
    (tmp_path / "copy.db").write_bytes(whole)

    copy = connect(f"sqlite:///{tmp_path / 'copy.db'}")
    with pytest.raises(DatabaseError, match="damaged"):
        mend_copy(copy)
    copy.dispose()


def test_a_database_is_told_by_its_file() -> None:
    """A server has none; a URI might mean anything."""
    assert Path("/var/x.db") == sqlite_file(connect("sqlite:////var/x.db"))
    assert sqlite_file(connect("postgresql://a@127.0.0.1/b")) is None
    with pytest.raises(DatabaseError, match="SQLite URI"):
        sqlite_file(connect("sqlite:///file:/var/x.db?uri=true"))
