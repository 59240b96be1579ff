"""What everybody prints → the log."""

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalix_callbacks.cli.keeper import _sorted
from scalix_callbacks.cli.log_pipe import LogPipe
from scalix_callbacks.cli.log_sink import (
    CUT_MARK,
    MAX_FILE_BYTES,
    MAX_LINE_CHARACTERS,
    OLD_FILES,
    LogFile,
    LogSink,
)
from scalix_callbacks.cli.log_tail import LINES, size_of, tail_since
from scalix_callbacks.core.redact import Redactor

SECRET = "a-secret-of-the-operator"


def sink() -> tuple[LogSink, list[str]]:
    lines: list[str] = []
    return LogSink(lines.append, Redactor([SECRET])), lines


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=50)), st.data())
def test_lines_do_not_depend_on_how_they_arrive(texts: list[str], data: st.DataObject) -> None:
    """However the bytes are cut on their way, the lines are the same."""
    taker, lines = sink()
    whole = "".join(f"{text}\n" for text in texts).encode()

    rest = whole
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        taker.feed(rest[:size])
        rest = rest[size:]

    assert texts == lines


def test_a_line_without_an_end_is_not_lost() -> None:
    """The last words of a process that died."""
    taker, lines = sink()

    taker.feed(b"whole\nhalf")
    assert ["whole"] == lines
    taker.flush()
    taker.flush()

    assert ["whole", "half"] == lines


def test_secrets_are_hidden_also_across_the_cut() -> None:
    """A secret that a long line's cut would have halved is hidden whole."""
    taker, lines = sink()
    start = "x" * (MAX_LINE_CHARACTERS - 10)

    taker.feed(f"key {SECRET} end\n{start}{SECRET}\n".encode())

    assert "key [redacted] end" == lines[0]
    assert f"{start}[redacted]" == lines[1]


def test_long_lines_are_cut() -> None:
    """A line without end costs one line of the log and a bounded memory; the next one is whole again."""
    taker, lines = sink()

    for _ in range(1_000):
        taker.feed(b"y" * 10_000)
    taker.feed(b"still the same\nnext\n")

    assert ["y" * MAX_LINE_CHARACTERS + CUT_MARK, "next"] == lines


def test_nothing_steers_the_terminal_of_who_reads() -> None:
    """Colours go, other control characters become visible, wrong UTF-8 is replaced."""
    taker, lines = sink()

    taker.feed(b"\x1b[32mgreen\x1b[0m\x1b]0;title\x07 \xff\ttab\r\n")

    assert ["green\\x1b]0;title\\x07 �\ttab"] == lines


def test_the_file_is_private_and_rotated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """20 MB, 5 old ones; its folders are made."""
    assert (20_000_000, 5) == (MAX_FILE_BYTES, OLD_FILES)
    monkeypatch.setattr("scalix_callbacks.cli.log_sink.MAX_FILE_BYTES", 100)
    path = tmp_path / "logs" / "deep" / "litellm.log"
    file = LogFile(path)

    for number in range(100):
        file.write(f"line {number} with some words")
    file.close()

    assert 1 + OLD_FILES == len(list(path.parent.iterdir()))
    assert "line 99 with some words" == path.read_text().splitlines()[-1]
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)


def test_the_tail_begins_with_this_start(tmp_path: Path) -> None:
    """Older lines are not shown; after a rotation the whole new file is."""
    path = tmp_path / "log"
    assert 0 == size_of(path)
    assert [] == tail_since(path, 0)
    path.write_text("old\n")
    before = size_of(path)
    with path.open("a") as file:
        file.writelines(f"new {number}\n\n" for number in range(100))

    assert [f"new {number}" for number in range(100 - LINES, 100)] == tail_since(path, before)
    path.write_text("n\n")
    assert ["n"] == tail_since(path, before)


def test_a_full_pipe_does_not_stop_the_launcher() -> None:
    """While nobody reads, the launcher's own lines are dropped: it has to replace the reader."""
    pipe = LogPipe()
    try:
        os.set_blocking(pipe.write_end, False)
        with pytest.raises(BlockingIOError):
            while True:
                os.write(pipe.write_end, b"x" * 65_536)
        os.set_blocking(pipe.write_end, True)

        pipe.note("dropped")
    finally:
        pipe.close()


def test_lines_of_calls_have_a_file_of_their_own(tmp_path: Path) -> None:
    """Where the operator wants that; all others stay in the log."""
    log, calls = LogFile(tmp_path / "log"), LogFile(tmp_path / "calls")
    write = _sorted(log, calls)
    for line in ('{"at":"2030","user":"u"}', "2030 WARNING scalix x", '{"other":1}'):
        write(line)
    log.close()
    calls.close()

    assert '{"at":"2030","user":"u"}\n' == (tmp_path / "calls").read_text()
    assert '2030 WARNING scalix x\n{"other":1}\n' == (tmp_path / "log").read_text()
