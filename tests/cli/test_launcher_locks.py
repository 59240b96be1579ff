"""Locks that end with their holders."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scalix_callbacks.cli.file_lock import claim, holder, is_free, share, take


@contextmanager
def another_process(call: str, path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has done `call` with `path`, and holds what it got until the end."""
    program = (
        f"import sys; from pathlib import Path; from scalix_callbacks.cli.file_lock import *\n"
        f"held = {call}(Path(sys.argv[1])); print(held is not None, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert b"True\n" == process.stdout.readline()
        yield process
        process.kill()


def test_a_claimed_file_names_its_holder(tmp_path: Path) -> None:
    """The kernel names the process, whatever is written in the file, and forgets it with the process."""
    path = tmp_path / "lock"
    assert holder(path) is None
    path.write_text("4711")

    with another_process("claim", path) as process:
        assert process.pid == holder(path)
        assert claim(path) is None

    assert holder(path) is None
    mine = claim(path)
    assert mine is not None
    os.close(mine)


def test_a_shared_file_can_be_shared_but_not_taken(tmp_path: Path) -> None:
    """Any number of children share it; who takes it has to wait for the last one."""
    path = tmp_path / "lock"
    mine = share(path)

    with another_process("share", path):
        assert not is_free(path)
        os.close(mine)
        assert take(path, 0.1) is None

    assert is_free(path)


def test_a_lock_lasts_as_long_as_a_child_has_the_file(tmp_path: Path) -> None:
    """A child that was given the open file holds the lock, too."""
    path = tmp_path / "lock"
    mine = take(path, 0)
    assert mine is not None

    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=(mine,)) as child:
        os.close(mine)
        assert not is_free(path)
        child.communicate()

    assert is_free(path)
