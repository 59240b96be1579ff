"""`scalix_admin.py backup` and `restore`, where no gateway runs."""

import json
import os
import re
import shutil
import sqlite3
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from scalix_callbacks.cli import admin
from scalix_callbacks.cli.file_lock import take

CONFIG = """
model_list:
  - model_name: free-gemini-flash
    litellm_params: {model: gemini/gemini-2.5-flash, api_key: os.environ/GEMINI_API_KEY}
"""
APPENDED = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n"

Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, no_settings: None, capsys: pytest.CaptureFixture[str]) -> Run:
    """Types a command for a data directory and returns what it printed, after checking its exit code."""
    (tmp_path / "config.yaml").write_text(CONFIG)

    def run(data_dir: str, *words: str, code: int = 0) -> str:
        done = admin.main(["--data-dir", str(tmp_path / data_dir), "--config", "config.yaml", *words])
        said = capsys.readouterr()
        assert code == done, said.err
        if code and not said.out:
            assert re.fullmatch(r"[^\n]+\.\n", said.err), said.err
        return said.out or said.err

    return run


@pytest.fixture
def saved(run: Run, tmp_path: Path) -> Path:
    """A backup of the data directory `a`, with an account, a key and a Redis at rest."""
    run("a", "accounts", "create", "ada")
    run("a", "keys", "create", "ada")
    (tmp_path / "a/redis").mkdir()
    (tmp_path / "a/redis/appendonly.aof").write_bytes(APPENDED)
    (tmp_path / "a/redis/temp-123.rdb").write_bytes(b"half")
    run("a", "backup", "saved")
    return tmp_path / "saved"


def manifest(folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return told


def test_what_was_backed_up_is_there_again(run: Run, saved: Path, tmp_path: Path) -> None:
    """Accounts, keys, audit log, and what Redis reads when it starts."""
    said = run("b", "restore", "saved")

    assert "has 1 account, 1 key and 0 records of " in said
    assert "All 2 entries of the audit log are as written." in said
    assert run("a", "keys", "list", "ada") == run("b", "keys", "list", "ada")
    assert "All 2 entries" in run("b", "audit", "verify")
    assert APPENDED == (tmp_path / "b/redis/appendonly.aof").read_bytes()
    assert not (tmp_path / "b/redis/temp-123.rdb").exists()
    assert not (tmp_path / "b/restoring").exists()


def test_a_backup_is_for_its_owner_alone(saved: Path, run: Run, tmp_path: Path) -> None:
    """It holds whom the gateway serves, and what they used; so is what was restored from it."""
    run("b", "restore", "saved")

    for folder in (saved, tmp_path / "b"):
        assert 0o700 == folder.stat().st_mode & 0o777
        kept = [
            path
            for path in folder.rglob("*")
            if path.name in ("scalix.db", "manifest.json", "appendonly.aof")
        ]
        assert len(kept) >= 2
        assert {0o600} == {path.stat().st_mode & 0o777 for path in kept}


def test_the_operators_key_is_in_no_backup(run: Run, tmp_path: Path) -> None:
    """Whoever finds a backup shall not run the gateway."""
    run("a", "accounts", "create", "ada")
    (tmp_path / "a/master_key").write_text("sk-master-f00d0123456789abcdef")
    run("a", "backup", "saved")

    assert ["manifest.json", "scalix.db"] == sorted(path.name for path in (tmp_path / "saved").iterdir())


def test_a_program_gets_json(run: Run, saved: Path) -> None:
    """With the same figures."""
    told = json.loads(run("b", "restore", "saved", "--json"))

    assert (1, 1, 0, 2, None) == tuple(
        told[name] for name in ("accounts", "keys", "records", "audit_entries", "audit_problem")
    )
    assert manifest(saved)["at"] == told["at"]


def test_nothing_is_overwritten(run: Run, saved: Path, tmp_path: Path) -> None:
    """Neither a database, nor a Redis, nor another backup."""
    assert "scalix.db: is there already, and is not overwritten. Move it away" in run(
        "a", "restore", "saved", code=1
    )
    (tmp_path / "b").mkdir(mode=0o700)
    (tmp_path / "b/redis").mkdir()
    (tmp_path / "b/redis/appendonly.aof").write_bytes(b"")
    assert "b/redis: is there already" in run("b", "restore", "saved", code=1)
    assert "saved: exists and is not empty. Name a new folder." in run("a", "backup", "saved", code=1)


def test_a_backup_is_not_kept_beside_what_it_saves(run: Run, saved: Path) -> None:
    """It would be lost with it."""
    assert "lies in the data directory" in run("a", "backup", "a/saved", code=1)


def test_there_must_be_something_to_back_up(run: Run, tmp_path: Path) -> None:
    """A wrong --data-dir makes no empty backup, and no directory either."""
    assert "scalix.db: no such file, so there is nothing to back up" in run("none", "backup", "saved", code=1)
    assert not (tmp_path / "none").exists()
    assert not (tmp_path / "saved").exists()


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda folder: (folder / "manifest.json").unlink(), "holds no manifest.json"),
        (lambda folder: (folder / "manifest.json").write_text("[" * 100_000), "is no manifest of a backup"),
        (lambda folder: (folder / "manifest.json").write_bytes(b"\xff{"), "is no manifest of a backup"),
        (lambda folder: change(folder, format=2), "of a format that this version does not know"),
        (lambda folder: change(folder, files={}), "is no manifest of a backup"),
        (lambda folder: change(folder, files={"scalix.db": "x", "../evil": "x"}), "names '../evil'"),
        (
            lambda folder: change(folder, files={"scalix.db": "x", "redis/../evil": "x"}),
            "names 'redis/../evil'",
        ),
        (lambda folder: change(folder, holds={}), "holds something else than its manifest says"),
        (lambda folder: (folder / "redis/appendonly.aof").unlink(), "appendonly.aof: is missing"),
        (
            lambda folder: (folder / "redis/appendonly.aof").write_bytes(b"x"),
            "appendonly.aof: is not as it was",
        ),
        (lambda folder: (folder / "scalix.db").write_bytes(b""), "scalix.db: is not as it was written"),
    ],
)
def test_a_spoilt_backup_is_refused(
    run: Run, saved: Path, tmp_path: Path, spoil: Callable[[Path], object], sentence: str
) -> None:
    """With one sentence, and nothing of it is in the data directory."""
    spoil(saved)

    assert sentence in run("b", "restore", "saved", code=1)
    assert not (tmp_path / "b/scalix.db").exists()
    assert not (tmp_path / "b/redis").exists()
    assert not (tmp_path / "evil").exists()


def change(folder: Path, **fields: Any) -> None:
    (folder / "manifest.json").write_text(json.dumps({**manifest(folder), **fields}))


def test_a_tampered_audit_log_is_told_and_holds_nothing_back(run: Run, tmp_path: Path) -> None:
    """At midnight the data comes first; the exit code says that somebody must look."""
    run("a", "accounts", "create", "ada")
    run("a", "accounts", "suspend", "ada")
    with sqlite3.connect(tmp_path / "a/scalix.db") as database:
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {name}")
        database.execute("UPDATE audit_log SET actor = 'nobody' WHERE no = 1")
    database.close()

    assert "The audit log was tampered with. " in run("a", "backup", "saved", code=1)
    assert "The audit log was tampered with. " in run("b", "restore", "saved", code=1)
    assert "ada" in run("b", "accounts", "list")


def test_one_backup_at_a_time(run: Run, tmp_path: Path) -> None:
    """Two would take each other's snapshot."""
    run("a", "accounts", "create", "ada")
    lock = take(tmp_path / "a/backup.lock", 0)
    assert lock is not None

    assert "is being backed up already" in run("a", "backup", "saved", code=1)
    os.close(lock)


def test_postgresql_is_named_its_own_tools(run: Run, monkeypatch: pytest.MonkeyPatch, saved: Path) -> None:
    """A copy by us would be worse than pg_dump."""
    monkeypatch.setenv("SCALIX_DATABASE_URL", "postgresql://scalix@127.0.0.1:1/scalix")

    assert "back it up with pg_dump" in run("a", "backup", "other", code=1)
    assert "restore it with pg_restore" in run("b", "restore", "saved", code=1)


def test_another_redis_is_said_to_be_missing(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One that REDIS_URL names is saved by its own means, and its files do not come from here."""
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    run("a", "accounts", "create", "ada")

    assert "Not in it: the Redis that REDIS_URL names." in run("a", "backup", "saved")
    assert ["scalix.db"] == list(manifest(tmp_path / "saved")["files"])
    run("b", "restore", "saved")
    assert not (tmp_path / "b/redis").exists()


def test_a_folder_that_may_not_be_written_is_named(run: Run, tmp_path: Path) -> None:
    """A file where a folder should be."""
    run("a", "accounts", "create", "ada")
    (tmp_path / "file").write_text("")

    assert "Not a directory" in run("a", "backup", "file/saved", code=1)
    shutil.rmtree(tmp_path / "a")
    assert "holds no manifest.json" in run("a", "restore", "file", code=1)


def test_what_the_guide_moves_aside_is_no_part_of_the_repository() -> None:
    """A data directory holds the master key and the accounts, whatever it is called meanwhile."""
    root = Path(__file__).parents[2]
    moved = re.findall(r"^mv \.scalix (\S+)", (root / "docs" / "backup.md").read_text(), re.MULTILINE)
    ignored = (root / ".gitignore").read_text().split()

    assert moved
    for name in (".scalix", *moved):
        assert any(fnmatch(f"{name}/", pattern) for pattern in ignored)
