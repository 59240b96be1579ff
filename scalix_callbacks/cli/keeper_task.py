"""What launcher and keeper say to each other: lines of JSON over the keeper's stdin and stdout."""

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class KeeperTask:
    """The first line the keeper reads. The end of its stdin is its order to end.

    Attributes:
        log_pipe: the file descriptor everybody's output comes from.
        secrets: values to keep out of the log. Here, for arguments can be read by every user.
        access_log: where lines of calls go; None: into the log.
        redis_server, redis_socket: None: no Redis of our own.
    """

    data_dir: str
    log_file: str
    log_pipe: int
    secrets: tuple[str, ...]
    redis_server: str | None
    redis_socket: str | None
    access_log: str | None = None


@dataclass(frozen=True, slots=True)
class KeeperReport:
    """A line the keeper writes.

    Attributes:
        redis_pid: the Redis that answers; None without one of our own.
        failure: why the keeper gives up, one sentence; None: all is well.
    """

    redis_pid: int | None = None
    failure: str | None = None


ORDERLY = b"end\n"
"""Written before the end of stdin: an end with time for Redis to write to a slow disk."""


def to_line(message: KeeperTask | KeeperReport) -> bytes:
    return json.dumps(asdict(message)).encode() + b"\n"


def task_from(line: bytes) -> KeeperTask:
    return KeeperTask(**json.loads(line))


def report_from(line: bytes) -> KeeperReport:
    return KeeperReport(**json.loads(line))
