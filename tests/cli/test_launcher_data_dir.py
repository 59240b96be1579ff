"""The data directory and what is kept in it."""

import os
import stat
from pathlib import Path

import pytest

from scalix_callbacks.cli.data_dir import DataDir
from scalix_callbacks.cli.master_key import kept_master_key
from scalix_callbacks.cli.start_error import StartError
from scalix_callbacks.cli.state import State, read_state, write_state

STATE = State(1, "http://h:1", "2026-01-01T00:00:00+00:00", "/log", False, 60.0, workers=[2, 3], redis_pid=4)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_is_made_private(tmp_path: Path) -> None:
    """With its parents, for this user only; prepared twice it stays."""
    data_dir = DataDir(tmp_path / "a" / "b")

    data_dir.check()
    assert not data_dir.path.exists()
    data_dir.prepare()
    data_dir.prepare()

    assert 0o700 == mode(data_dir.path)


def test_an_open_one_of_ours_is_closed(tmp_path: Path) -> None:
    """An empty directory, or one with our files, becomes private."""
    tmp_path.chmod(0o755)
    (tmp_path / "scalix.db").touch()

    DataDir(tmp_path).prepare()

    assert 0o700 == mode(tmp_path)


def test_what_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    """--data-dir /tmp must not close /tmp to everybody else."""
    tmp_path.chmod(0o777)
    (tmp_path / "somebody's file").touch()

    for attempt in (DataDir(tmp_path).check, DataDir(tmp_path).prepare):
        with pytest.raises(StartError, match="open to other users and holds other files"):
            attempt()

    assert 0o777 == mode(tmp_path)


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    """A path to or below a file is told as one."""
    file = tmp_path / "file"
    file.touch()

    for path in (file, file / "below"):
        for attempt in (DataDir(path).check, DataDir(path).prepare):
            with pytest.raises(StartError, match=r"file: is no directory|Not a directory"):
                attempt()


def test_the_state_is_written_whole_and_private(tmp_path: Path) -> None:
    """What was written is read; nothing else lies beside it."""
    path = tmp_path / "launcher.json"

    write_state(path, STATE)

    assert STATE == read_state(path)
    assert 0o600 == mode(path)
    assert ["launcher.json"] == os.listdir(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"pid": 1}', '"text"', "\0"])
def test_a_state_nobody_understands_is_none(tmp_path: Path, text: str) -> None:
    """Half a file, or one of another version, stops nobody."""
    path = tmp_path / "launcher.json"
    path.write_text(text)

    assert read_state(path) is None
    assert read_state(tmp_path / "missing") is None


def test_a_master_key_is_made_once(tmp_path: Path) -> None:
    """Strong, for this user only, and the same ever after."""
    path = tmp_path / "master_key"

    key = kept_master_key(path)
    path.chmod(0o644)

    assert key.startswith("sk-")
    assert 46 == len(key)
    assert key == kept_master_key(path)
    assert 0o600 == mode(path)
    assert ["master_key"] == os.listdir(tmp_path)
    assert key != kept_master_key(tmp_path / "another")


@pytest.mark.parametrize("content", [b"", b"short", b"two words that are long", b"\xff" * 40])
def test_a_broken_key_file_is_told(tmp_path: Path, content: bytes) -> None:
    """It is neither used nor replaced, for somebody may still know it."""
    path = tmp_path / "master_key"
    path.write_bytes(content)

    with pytest.raises(StartError, match="holds no master key"):
        kept_master_key(path)

    assert content == path.read_bytes()


def test_a_name_that_is_too_long_is_told(tmp_path):
    """One sentence, not the system's error."""
    with pytest.raises(StartError, match="cannot be used as data directory"):
        DataDir(tmp_path / ("a" * 300)).check()
