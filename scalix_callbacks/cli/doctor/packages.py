"""Whether what is installed is what was locked and tested."""

import re
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from scalix_callbacks.cli.doctor.finding import INSTALL, Finding, broken, ok, warning

LITELLM = "1.106.2"
"""The hooks lean on LiteLLM's inside; this is the one they were tested with."""

_OURS = "scalix-gateway"
_PINNED = re.compile(r"^(?P<requirement>[A-Za-z0-9][^\s#]*==[^\\#]+)", re.MULTILINE)
_SHOWN = 8


def examine(lock: Path) -> Iterator[Finding]:
    installed = installed_versions()
    yield litellm_version(installed.get("litellm"))
    try:
        pins = read_pins(lock.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, InvalidRequirement):
        yield warning(
            "packages",
            "There is no readable requirements.lock, so the versions were not compared.",
            "Run this in a checkout of the project, or name the file with --lock.",
        )
        return
    yield against_lock(pins, installed, needed_names())


def litellm_version(version: str | None) -> Finding:
    """Of LiteLLM's installed version; None: it is not installed."""
    if version == LITELLM:
        return ok("LiteLLM", f"{version}.")
    found = (
        "not installed"
        if version is None
        else f"{version} is installed; {LITELLM} is what the hooks are tested with"
    )
    return broken("LiteLLM", f"{found.capitalize()}.", INSTALL)


def read_pins(text: str) -> dict[str, str]:
    """The versions a lock names for this interpreter and platform, by canonical name.

    Raises:
        InvalidRequirement: a line that names a version cannot be understood.
    """
    pins: dict[str, str] = {}
    for match in _PINNED.finditer(text):
        requirement = Requirement(match["requirement"].strip())
        if requirement.marker is None or requirement.marker.evaluate():
            pins[canonicalize_name(requirement.name)] = next(iter(requirement.specifier)).version
    return pins


def installed_versions() -> dict[str, str]:
    """All distributions that can be imported here, by canonical name."""
    found: dict[str, str] = {}
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"]
        if name:
            found.setdefault(canonicalize_name(name), distribution.version)
    return found


def needed_names() -> frozenset[str] | None:
    """What the gateway needs to run, directly or not; None: unknown, for it is not installed itself.

    The lock also names what only its tests need.
    """
    needed: set[str] = set()
    waiting = [(_OURS, frozenset[str]())]
    seen = set()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            lines = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            if name == _OURS:
                return None
            continue
        for line in lines:
            requirement = Requirement(line)
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in (*extras, "")):
                other = canonicalize_name(requirement.name)
                needed.add(other)
                waiting.append((other, frozenset(requirement.extras)))
    return frozenset(needed)


def against_lock(
    pins: Mapping[str, str], installed: Mapping[str, str], needed: frozenset[str] | None
) -> Finding:
    """What differs.

    Args:
        pins, installed: versions by canonical names.
        needed: names that must be there; None: all that are pinned.
    """
    missing = [name for name in sorted(pins) if name not in installed and (needed is None or name in needed)]
    different = [
        f"{name} {installed[name]} instead of {version}"
        for name, version in sorted(pins.items())
        if name in installed and installed[name] != version
    ]
    if not missing and not different:
        return ok("packages", f"{len(pins.keys() & installed.keys())} are as locked.")
    parts = []
    if missing:
        parts.append(f"Missing: {_some(missing)}.")
    if different:
        parts.append(f"Other versions than locked: {_some(different)}.")
    return broken("packages", " ".join(parts), INSTALL)


def _some(names: list[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
