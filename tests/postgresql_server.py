"""A real PostgreSQL server for tests, on a unix socket."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
from sqlalchemy import make_url, text

from scalix_callbacks.ledger.database import DatabaseError, connect, reading, writing
from tests.system.gateway_process import wait_until

MISSING = "PostgreSQL is not installed: sudo apt-get install -y postgresql"

_FOLDERS = "/usr/lib/postgresql/*/bin"  # where Debian puts it, on nobody's PATH
_OPTIONS = {
    "listen_addresses": "",
    "max_connections": "200",
    # Nobody needs these databases after a power cut.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
}


def programs() -> Path | None:
    """The folder of the newest server's programs; None: there is none."""
    found = sorted(Path("/").glob(f"{_FOLDERS[1:]}/initdb"), key=lambda path: float(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return None if on_path is None else Path(on_path).resolve().parent


class PostgresqlServer:
    """A fresh server; use it in a `with`. It would not run as root; there it runs as another user.

    Args:
        options: settings of the server over those that suit most tests.
    """

    def __init__(self, folder_of_programs: Path, **options: str) -> None:
        self._programs = folder_of_programs
        self._options = _OPTIONS | options
        # Not pytest's own folder: a socket's path must be short, and the other user must reach it.
        self._folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
        self._run: dict[str, Any] = {"cwd": self._folder, **_other_user(self._folder)}
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"postgresql://scalix@/postgres?host={self._folder}"

    def __enter__(self) -> Self:
        try:
            _initialise(self._programs, self._folder / "data", self._run)
            self.start()
        except BaseException:
            self._end(signal.SIGKILL)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(signal.SIGINT)  # it cuts off whoever is still connected

    def start(self) -> None:
        """Returns when it answers. What it had before, it has again."""
        options = [word for name, value in self._options.items() for word in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._folder / "data", "-k", self._folder, *options],
                stdout=log,
                stderr=subprocess.STDOUT,
                **self._run,
            )
        wait_until(lambda: _answers(self._process, self.url, self._folder / "log"))

    def kill(self) -> None:
        """kill -9; returns when all of its processes are gone, or they would not let a next one start."""
        assert self._process is not None
        family = [psutil.Process(self._process.pid), *psutil.Process(self._process.pid).children()]
        self._process.kill()
        self._process.wait(timeout=60)
        psutil.wait_procs(family, timeout=60)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=60)
        shutil.rmtree(self._folder)


@contextmanager
def empty_database(server_url: str) -> Iterator[str]:
    """The URL of a schema of its own on this server, which is dropped at the end."""
    schema = f"test_{uuid.uuid4().hex}"
    server = connect(server_url)
    with writing(server) as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    own = make_url(server_url).update_query_dict({"options": f"-csearch_path={schema}"})
    yield own.render_as_string(hide_password=False)
    with writing(server) as connection:
        connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
    server.dispose()


def _other_user(folder: Path) -> dict[str, Any]:
    """What starts a process as somebody else, where we are root; Debian's package brings the user along."""
    if os.geteuid() != 0:
        return {}
    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        user = pwd.getpwnam("nobody")
    os.chown(folder, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _initialise(folder_of_programs: Path, data: Path, run: dict[str, Any]) -> None:
    command: list[str | Path] = [
        folder_of_programs / "initdb",
        "-D",
        data,
        "-U",
        "scalix",
        "-A",
        "trust",
        "-E",
        "UTF8",
    ]
    done = subprocess.run(
        [*command, "--locale=C.UTF-8", "--no-sync"], capture_output=True, text=True, check=False, **run
    )
    assert 0 == done.returncode, done.stdout + done.stderr


def _answers(process: "subprocess.Popen[bytes] | None", url: str, log: Path) -> bool:
    assert process is not None and process.poll() is None, f"PostgreSQL did not start:\n{log.read_text()}"
    engine = connect(url)
    try:
        with reading(engine) as connection:
            connection.execute(text("SELECT 1"))
    except DatabaseError:
        return False
    finally:
        engine.dispose()
    return True
