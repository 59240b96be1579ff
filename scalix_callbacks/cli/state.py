"""What the running launcher tells others about itself, in a file of the data directory."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

_MAX_BYTES = 100_000


@dataclass(frozen=True, slots=True)
class State:
    """A running gateway, with no secret in it.

    Attributes:
        url: where it answers, as reached from this machine.
        started_at: ISO 8601, UTC.
        is_ready: every worker has served since the start.
        workers: process ids.
        redis_pid: of the embedded Redis; None: another is used.
        redis_socket: where the embedded Redis listens.
        shutdown_timeout_s: how long a stop may wait for calls in flight.
    """

    pid: int
    url: str
    started_at: str
    log_file: str
    is_demo: bool
    shutdown_timeout_s: float
    is_ready: bool = False
    workers: list[int] = field(default_factory=list)
    keeper_pid: int | None = None
    redis_pid: int | None = None
    redis_socket: str | None = None
    demo_provider_pid: int | None = None


def write_state(path: Path, state: State) -> None:
    """Replaces the file as a whole; nobody ever reads half of it."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(asdict(state), file, indent=1)
    draft.replace(path)


def read_state(path: Path) -> State | None:
    """The state in `path`; None when there is none, or none that can be understood."""
    try:
        with path.open(encoding="utf-8") as file:
            return State(**json.loads(file.read(_MAX_BYTES)))
    except (OSError, ValueError, TypeError):
        return None
