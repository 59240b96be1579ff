"""The embedded Redis, started in a folder of its own to be looked at, and ended again."""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from scalix_callbacks.cli.embedded_redis import (
    EmbeddedRedis,
    place_socket,
    redis_server,
    remove_socket,
    url_of_socket,
)
from scalix_callbacks.cli.start_error import StartError

START_TIMEOUT_S = 10.0
_POLL_S = 0.02


def try_to_start(folder: Path, stack: ExitStack) -> tuple[str | None, StartError | None]:
    """The URL of one that runs until `stack` ends; or why there is none."""
    try:
        return stack.enter_context(throwaway_redis(redis_server(), folder)), None
    except StartError as error:
        return None, error


@contextmanager
def throwaway_redis(executable: str, folder: Path) -> Iterator[str]:
    """Its URL.

    Raises:
        StartError: it does not come up.
    """
    place = place_socket(folder)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            server = EmbeddedRedis(executable, folder / "redis", place, lock)
        except OSError as error:
            raise StartError(
                f"{executable} cannot be started ({error.strerror}). Reinstall it, or set REDIS_URL."
            ) from None
        try:
            _wait_for(server, executable)
            yield url_of_socket(place)
        finally:
            server.kill()
            server.close()
    finally:
        os.close(lock)
        remove_socket(place)


def _wait_for(server: EmbeddedRedis, executable: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not server.answers():
        if server.exit_code() is not None or time.monotonic() > deadline:
            raise StartError(f"{executable} starts, but does not answer. Reinstall it, or set REDIS_URL.")
        time.sleep(_POLL_S)
