"""Lines of calls leave a worker whole, and never hold it up."""

import os
from collections.abc import Iterator

import pytest

from scalix_callbacks.access_log import MAX_BYTES, AccessLog


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_a_line_comes_out_without_secrets(pipe: tuple[int, int]) -> None:
    """With one end of line, and nothing else."""
    log = AccessLog(lambda text: text.replace("secret", "***"), pipe[1])
    log.write(['{"at":"secret"}'])
    log.close()

    assert b'{"at":"***"}\n' == os.read(pipe[0], 1_000)


def test_a_reader_that_stands_still_costs_lines_and_no_time(
    pipe: tuple[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    """Those it took are whole; how many are missing is said once it reads again."""
    log = AccessLog(str, pipe[1])
    while not log.lost:
        log.write(["x" * 999])
    lost = log.lost
    taken = os.read(pipe[0], 1 << 20)
    log.write(["again"])
    log.close()

    assert {b"x" * 999, b""} == set(taken.split(b"\n"))
    assert (1, 0) == (lost, log.lost)
    assert "1 lines of calls were lost" in caplog.text
    assert b"again\n" == os.read(pipe[0], 1_000)


def test_a_line_that_a_pipe_would_break_up_is_not_written(pipe: tuple[int, int]) -> None:
    """It would mix with those of other workers."""
    log = AccessLog(str, pipe[1])
    log.write(["x" * (MAX_BYTES + 1)])
    log.close()

    assert 1 == log.lost


def test_several_lines_are_written_at_once(pipe: tuple[int, int], caplog: pytest.LogCaptureFixture) -> None:
    """As many as a pipe takes as a whole; one that is too long is left out, and that is said."""
    log = AccessLog(str, pipe[1])
    log.write(["x" * 1_500, "y" * 1_500, "z" * MAX_BYTES, "a" * 1_500])

    assert b"x" * 1_500 + b"\n" + b"y" * 1_500 + b"\n" + b"a" * 1_500 + b"\n" == os.read(pipe[0], 1 << 16)
    assert "1 lines of calls were lost" in caplog.text
    log.write(["b"] * 2)
    log.close()
    assert b"b\nb\n" == os.read(pipe[0], 1_000)


def test_a_file_is_appended_to(tmp_path: object) -> None:
    """Where no launcher reads, such as with a server started by hand."""
    path = os.path.join(str(tmp_path), "out")
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.write(descriptor, b"before\n")
    log = AccessLog(str, descriptor)
    log.write(["line"])
    log.close()
    os.close(descriptor)

    with open(path) as file:
        assert "before\nline\n" == file.read()
