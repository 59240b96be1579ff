"""Whether this Python, on this machine, is one the gateway runs on."""

import platform
import sys
from collections.abc import Iterator

from scalix_callbacks.cli.doctor.finding import Finding, broken, ok, warning

SUPPORTED = ((3, 11), (3, 12))


def examine() -> Iterator[Finding]:
    yield python(sys.version_info[:2], platform.python_version())
    yield machine(sys.platform, platform.machine())


def python(version: tuple[int, ...], shown: str) -> Finding:
    """Of an interpreter's major and minor version."""
    if version in SUPPORTED:
        return ok("Python", f"{shown}.")
    return broken(
        "Python", f"{shown} is not supported.", "Make the environment anew with Python 3.11 or 3.12."
    )


def machine(system: str, architecture: str) -> Finding:
    """Of `sys.platform` and the machine's name."""
    shown = f"{system} {architecture}"
    match system, architecture:
        case "linux", "x86_64":
            return ok("platform", f"{shown}.")
        case "linux", _:
            return warning(
                "platform",
                f"{shown}: no Redis comes with the packages here.",
                "Install redis-server or valkey-server, or set REDIS_URL.",
            )
        case _:
            return broken(
                "platform", f"{shown}: the launcher runs on Linux only.", "Use Linux, or a container with it."
            )
