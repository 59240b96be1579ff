"""Looking at, and stopping, the gateway that runs on a data directory."""

import json
import os
import select
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from scalix_callbacks.cli.console import Console
from scalix_callbacks.cli.data_dir import DataDir
from scalix_callbacks.cli.file_lock import holder
from scalix_callbacks.cli.health import Answer, ask_health
from scalix_callbacks.cli.start_error import StartError
from scalix_callbacks.cli.state import State, read_state

RUNNING, UNHEALTHY, NOT_RUNNING = 0, 1, 3
BEYOND_TIMEOUT_S = 60.0
"""What a stop may take beyond the calls in flight: flushing, the demo provider, Redis."""

_DEFAULT_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Running:
    """A running launcher. `state` is None while it has not yet written it."""

    pid: int
    state: State | None


def find_running(data_dir: DataDir) -> Running | None:
    """The gateway on `data_dir`; None: there is none, whatever a killed one has left there.

    Raises:
        StartError: the directory cannot be read.
    """
    try:
        pid = holder(data_dir.launcher_lock)
    except NotADirectoryError:
        raise StartError(f"{data_dir.path}: is no directory. Name another one with --data-dir.") from None
    except OSError as error:
        raise StartError(
            f"{data_dir.path}: cannot be read ({error.strerror}). Ask as the user who runs it."
        ) from None
    if pid is None:
        return None
    state = read_state(data_dir.state_file)
    return Running(pid, state if state is not None and state.pid == pid else None)


def already_running(data_dir: DataDir, running: Running) -> StartError:
    where = f" at {running.state.url}" if running.state else ""
    return StartError(
        f"{data_dir.path}: a gateway runs here already (pid {running.pid}{where}). Stop it with --stop, or"
        " name another directory with --data-dir."
    )


def show_status(data_dir: DataDir, console: Console, *, as_json: bool) -> int:
    """Says how the gateway is. Returns 0 running and healthy, 1 running but not healthy, 3 not running."""
    running = find_running(data_dir)
    answer = _ask(running.state) if running and running.state else Answer(None)
    is_healthy = bool(running and running.state and running.state.is_ready and answer.is_well)
    if as_json:
        console.say(json.dumps(_as_json(data_dir.path, running, answer, is_healthy), indent=2))
    else:
        console.say(_as_text(data_dir.path, running, answer, is_healthy))
    if running is None:
        return NOT_RUNNING
    return RUNNING if is_healthy else UNHEALTHY


def stop(data_dir: DataDir, console: Console) -> int:
    """Asks the gateway to end and waits for it. Returns 0, also when none runs.

    Raises:
        StartError: it may not be signalled, or does not end.
    """
    running = find_running(data_dir)
    if running is None:
        console.say(f"No gateway runs on {data_dir.path}.")
        return 0
    _end(data_dir, running)
    console.say("Stopped.")
    return 0


def _end(data_dir: DataDir, running: Running) -> None:
    try:
        process = os.pidfd_open(running.pid)
    except ProcessLookupError:
        return
    try:
        # Asked again with the process in hand: from here on its number cannot become another's.
        if holder(data_dir.launcher_lock) != running.pid:
            return
        signal.pidfd_send_signal(process, signal.SIGTERM)
        timeout_s = (
            running.state.shutdown_timeout_s if running.state else _DEFAULT_TIMEOUT_S
        ) + BEYOND_TIMEOUT_S
        if not select.select([process], [], [], timeout_s)[0]:
            raise StartError(
                f"The gateway (pid {running.pid}) does not end. Its log says why; kill -9 ends it."
            )
    except ProcessLookupError:
        return
    except PermissionError:
        raise StartError(f"The gateway (pid {running.pid}) is another user's. Stop it as that one.") from None
    finally:
        os.close(process)


def _ask(state: State) -> Answer:
    parts = urlsplit(state.url)
    return ask_health(parts.hostname or "", parts.port or 0)


def _as_json(path: Path, running: Running | None, answer: Answer, is_healthy: bool) -> dict[str, Any]:
    state = running.state if running else None
    return {
        "running": running is not None,
        "healthy": is_healthy,
        "url": state.url if state else None,
        "pid": running.pid if running else None,
        "workers": state.workers if state else [],
        "started_at": state.started_at if state else None,
        "data_dir": str(path),
        "demo": state.is_demo if state else None,
        "keeper_pid": state.keeper_pid if state else None,
        "redis_pid": state.redis_pid if state else None,
        "demo_provider_pid": state.demo_provider_pid if state else None,
        "health": answer.body,
    }


def _as_text(path: Path, running: Running | None, answer: Answer, is_healthy: bool) -> str:
    if running is None:
        return f"Not running (data directory {path})."
    state = running.state
    if state is None or (not state.is_ready and answer.status is None):
        return f"Starting (pid {running.pid}, data directory {path})."
    head = f"at {state.url} (pid {running.pid}, {len(state.workers)} workers, since {state.started_at})"
    if is_healthy:
        return f"Running and healthy {head}."
    said = f"says {answer.status}: {answer.text[:500]}" if answer.status else "does not answer"
    return f"Running but not healthy {head}. GET /v1/health {said}\nThe log is {state.log_file}."
