"""What a check found, and what to do next."""

import re
from dataclasses import dataclass
from enum import StrEnum

INSTALL = "python -m pip install --no-deps --require-hashes -r requirements.lock"
"""The next step where something is not installed as it was tested; the README's own command."""
_FIRST_SENTENCE = re.compile(r"(.+?\.)\s+(?=[A-Z])(.+)", re.DOTALL)


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        name: of the check; several findings may share one.
        found: what is so.
        next_step: what to do; empty when there is nothing to do.
    """

    name: str
    level: Level
    found: str
    next_step: str = ""


def ok(name: str, found: str) -> Finding:
    return Finding(name, Level.OK, found)


def warning(name: str, found: str, next_step: str) -> Finding:
    return Finding(name, Level.WARNING, found, next_step)


def broken(name: str, found: str, next_step: str) -> Finding:
    return Finding(name, Level.BROKEN, found, next_step)


def told(name: str, error: Exception, level: Level = Level.BROKEN) -> Finding:
    """What one of our own errors says: they name what is wrong first, then the mend."""
    sentences = " ".join(str(error).split())
    parts = _FIRST_SENTENCE.fullmatch(sentences)
    return Finding(name, level, *parts.groups()) if parts else Finding(name, level, sentences)


def unknown(name: str) -> Finding:
    """For a check that needs settings there are none of."""
    return warning(name, "Not checked, for the settings cannot be read.", "Mend the settings first.")
