"""Whether modules can be imported that LiteLLM does badly without, and does not ask for itself."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module

from scalix_callbacks.cli.doctor.finding import Finding, Level, ok


@dataclass(frozen=True, slots=True)
class Wanted:
    """A module; `without` says what happens when it is not there."""

    module: str
    package: str
    level: Level
    without: str


WANTED = (
    Wanted("prisma", "prisma", Level.BROKEN, "LiteLLM answers some refusals with a plain 500"),
    Wanted(
        "opentelemetry.sdk",
        "opentelemetry-sdk",
        Level.WARNING,
        "every request of LiteLLM retries its import, for 3 ms",
    ),
    Wanted("httptools", "httptools", Level.WARNING, "HTTP is parsed slowly"),
    Wanted("uvloop", "uvloop", Level.WARNING, "the event loop is slow"),
)


def examine(load: Callable[[str], object] = import_module) -> Iterator[Finding]:
    for wanted in WANTED:
        yield _one(wanted, load)


def _one(wanted: Wanted, load: Callable[[str], object]) -> Finding:
    try:
        load(wanted.module)
    except Exception as error:  # a damaged package may raise anything
        return Finding(
            wanted.module,
            wanted.level,
            f"Cannot be imported ({type(error).__name__}): {wanted.without}.",
            f"python -m pip install {wanted.package}",
        )
    return ok(wanted.module, "Can be imported.")
