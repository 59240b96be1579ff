"""Which checks there are, in which order; none can take the others along."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from scalix_callbacks.cli.doctor.finding import INSTALL, Finding, broken, ok
from scalix_callbacks.cli.doctor.options import Options
from scalix_callbacks.core.redact import Redactor

if TYPE_CHECKING:
    from scalix_callbacks.cli.doctor.subject import Subject

Check = Callable[[], Iterator[Finding]]


def examine(options: Options, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Every finding, as soon as it is made. No text holds a secret or a provider's address."""
    for name, check in _of_installation(options):
        yield from _redacted(guarded(name, check), Redactor(()))
    read: list[Subject] = []

    def settings() -> Iterator[Finding]:
        read.append(_module("subject").read_subject(options, environ))
        yield from _module("configuration").examine(read[0])

    # All of it before any is told: what to take out of the texts is not known earlier.
    found = list(guarded("settings", settings))
    if not read:
        yield from _redacted(iter(found), Redactor(()))
        return
    yield from _redacted(iter(found), read[0].redact)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="scalix-doctor-")))
        for name, check in _of_gateway(read[0], options, folder, stack):
            yield from _redacted(guarded(name, check), read[0].redact)


def guarded(name: str, check: Check) -> Iterator[Finding]:
    """What `check` finds; an error of its own becomes a finding, too."""
    try:
        yield from check()
    except ModuleNotFoundError as error:
        yield broken(
            name,
            f"Not checked, for the module {error.name} is not installed.",
            INSTALL,
        )
    except Exception as error:  # whatever it is, the other checks must go on
        yield broken(
            name, f"The check itself failed with {type(error).__name__}.", "Report it, with this line."
        )


def _redacted(findings: Iterator[Finding], redact: Redactor) -> Iterator[Finding]:
    for finding in findings:
        yield Finding(finding.name, finding.level, redact(finding.found), redact(finding.next_step))


def _module(name: str) -> Any:
    """Imported when its check runs: where a package is missing, that check fails alone."""
    return import_module(f"{__package__}.{name}")


def _of_installation(options: Options) -> tuple[tuple[str, Check], ...]:
    return (
        ("Python", lambda: _module("interpreter").examine()),
        ("packages", lambda: _module("packages").examine(options.lock)),
        ("start files", lambda: _module("intruders").examine()),
        ("modules", lambda: _module("modules").examine()),
        ("bytecode", lambda: _module("bytecode").examine()),
    )


def _of_gateway(
    subject: "Subject", options: Options, folder: Path, stack: ExitStack
) -> tuple[tuple[str, Check], ...]:
    trial_redis: list[str] = []

    def redis_check() -> Iterator[Finding]:
        url, problem = _module("throwaway_redis").try_to_start(folder, stack)
        if url is not None:
            trial_redis.append(url)
        yield from _module("redis_store").examine(subject, url, problem)

    def hooks_check() -> Iterator[Finding]:
        yield from _module("hooks").examine(subject, folder, trial_redis[0] if trial_redis else None)

    def providers_check() -> Iterator[Finding]:
        if options.is_live:
            yield from _module("providers").examine(subject)
        else:
            yield ok("providers", "Not asked; --live tries to reach them.")

    return (
        ("models", lambda: _module("models").examine(subject)),
        ("master key", lambda: _module("operator_key").examine(subject)),
        ("data directory", lambda: _module("data_place").examine(subject)),
        ("port", lambda: _module("port").examine(subject)),
        ("Redis", redis_check),
        ("database", lambda: _module("sql_database").examine(subject)),
        ("running gateway", lambda: _module("gateway").examine(subject)),
        ("hooks", hooks_check),
        ("providers", providers_check),
    )
