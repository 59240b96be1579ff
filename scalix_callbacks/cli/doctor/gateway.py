"""Whether a gateway runs on the data directory, and how it says it is."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from scalix_callbacks.cli.doctor.finding import Finding, broken, ok, warning
from scalix_callbacks.cli.doctor.subject import Subject
from scalix_callbacks.cli.health import Answer, ask_health
from scalix_callbacks.cli.running import Running, find_running

_STATES = ("ok", "degraded", "down")


def examine(subject: Subject) -> Iterator[Finding]:
    running = find_running(subject.data_dir)
    if running is None:
        yield ok("running gateway", "None on this data directory.")
    elif running.state is None:
        yield warning(
            "running gateway", f"It is starting (pid {running.pid}).", "Run this again in a moment."
        )
    else:
        parts = urlsplit(running.state.url)
        yield of(running, ask_health(parts.hostname or "", parts.port or 0))


def of(running: Running, answer: Answer) -> Finding:
    """Of what its /v1/health says."""
    name, where = (
        "running gateway",
        f"pid {running.pid}, {running.state.url if running.state else 'starting'}",
    )
    look = f"Its log says why: {running.state.log_file}" if running.state else ""
    if answer.status is None:
        return broken(name, f"It does not answer ({where}).", look)
    body = answer.body if isinstance(answer.body, dict) else {}
    said = body.get("status")
    parts = ", ".join(
        f"{part} {state}"
        for part, value in body.items()
        if isinstance(value, dict) and (state := value.get("status")) in _STATES and state != "ok"
    )
    if answer.is_well and said == "ok":
        return ok(name, f"It is well ({where}).")
    shown = f"It answers {answer.status}, {said if said in _STATES else 'with something unknown'}"
    found = f"{shown}{f': {parts}' if parts else ''} ({where})."
    return warning(name, found, look) if answer.is_well else broken(name, found, look)
