"""Numbers for Prometheus on a disk without space."""

import errno
import os
from pathlib import Path

import pytest

from scalix_callbacks.tallies import steady_numbers
from scalix_callbacks.tallies.steady_numbers import FILE_BYTES, SteadyNumbers


@pytest.fixture
def disk_full(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, offset: int, size: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(steady_numbers.os, "posix_fallocate", refuse)


def keys(count: int) -> list[str]:
    return [f"number_{number}_{'x' * 60}" for number in range(count)]


def test_the_space_of_a_file_is_really_there(tmp_path: Path) -> None:
    """So that writing into it can fail no more; and the client's own reader reads it."""
    file = tmp_path / "counter_1.db"
    numbers = SteadyNumbers(str(file))
    numbers.write_value("calls", 3.0, 0.0)
    numbers.close()

    assert os.stat(file).st_blocks * 512 >= FILE_BYTES
    assert [("calls", 3.0)] == [
        (key, value) for key, value, _, _ in SteadyNumbers.read_all_values_from_file(str(file))
    ]


def test_a_file_that_is_there_goes_on(tmp_path: Path) -> None:
    """A process that opens it again finds its numbers."""
    file = tmp_path / "counter_1.db"
    first = SteadyNumbers(str(file))
    first.write_value("calls", 3.0, 0.0)
    first.close()
    again = SteadyNumbers(str(file))

    assert (3.0, 0.0) == again.read_value("calls")
    again.close()


def test_without_space_numbers_are_kept_in_memory(tmp_path: Path, disk_full: None) -> None:
    """The process lives on; the sums over all processes miss its numbers."""
    file = tmp_path / "counter_1.db"
    numbers = SteadyNumbers(str(file))
    numbers.write_value("calls", 3.0, 0.0)

    assert (3.0, 0.0) == numbers.read_value("calls")
    assert 0 == file.stat().st_size
    numbers.close()


def test_a_disk_that_gets_full_later_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was counted is not forgotten when the file cannot grow."""
    numbers = SteadyNumbers(str(tmp_path / "counter_1.db"))
    numbers.write_value("calls", 3.0, 0.0)

    def refuse(descriptor: int, offset: int, size: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(steady_numbers.os, "posix_fallocate", refuse)
    for key in keys(4_000):
        numbers.write_value(key, 1.0, 0.0)

    assert [(3.0, 0.0), (1.0, 0.0)] == [numbers.read_value("calls"), numbers.read_value(keys(4_000)[-1])]
    numbers.close()


def test_a_file_grows(tmp_path: Path) -> None:
    """As the client's own does."""
    file = tmp_path / "counter_1.db"
    numbers = SteadyNumbers(str(file))
    for key in keys(4_000):
        numbers.write_value(key, 1.0, 0.0)
    numbers.close()

    assert 4_000 == len(list(SteadyNumbers.read_all_values_from_file(str(file))))
    assert os.stat(file).st_blocks * 512 >= 2 * FILE_BYTES
