"""Whether the settings and the YAML are valid, and what is seen beside them."""

from collections.abc import Iterator
from pathlib import Path

from scalix_callbacks.cli.child_environment import LITELLM_DATABASES
from scalix_callbacks.cli.doctor.finding import Finding, ok, told, warning
from scalix_callbacks.cli.doctor.subject import Subject
from scalix_callbacks.settings.env_files import ENV_FILES
from scalix_callbacks.settings.misspelled import misspelled


def examine(subject: Subject) -> Iterator[Finding]:
    yield env_files([subject.env_file] if subject.env_file else [Path.cwd() / name for name in ENV_FILES])
    if subject.problem is not None:
        yield told("settings", subject.problem)
    elif subject.settings is not None:
        yield ok("settings", f"Valid, with {subject.settings.config_path}.")
        for name, meant in misspelled(subject.values, subject.settings.config):
            yield warning("settings", f"{name}: there is no such setting.", f"Did you mean {meant}?")
        if subject.settings.is_demo:
            yield ok(
                "demo",
                "One runs on this data directory, and its demo provider answers for every model. Stop it to"
                " see what your own settings lack.",
            )
    set_names = [name for name in LITELLM_DATABASES if subject.values.get(name)]
    if set_names:
        yield warning(
            "LiteLLM's database",
            f"{', '.join(set_names)}: set, so `litellm --config` wants Prisma; our launcher drops it.",
            "Unset it; the gateway's own database is SCALIX_DATABASE_URL.",
        )


def env_files(paths: list[Path]) -> Finding:
    """Of the files that could hold settings."""
    seen = [path for path in paths if path.is_file()]
    if not seen:
        return ok("env file", f"None seen ({' or '.join(path.name for path in paths)} in this directory).")
    if others := [path for path in seen if path.stat().st_mode & 0o077]:
        return warning(
            "env file",
            f"{_listed(others)}: other users of this machine may read it.",
            f"chmod 600 {' '.join(map(str, others))}",
        )
    return ok("env file", f"{_listed(seen)}.")


def _listed(paths: list[Path]) -> str:
    return ", ".join(map(str, paths))
