"""Env files → the environment's values beside those it has."""

from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from scalix_callbacks.settings.errors import SettingsError

ENV_FILES = ("scalix_config.env", ".env")


def with_env_files(environ: Mapping[str, str], env_file: Path | None, folder: Path) -> dict[str, str]:
    """`environ` with what it does not set taken from the env file, or from the default ones in `folder`.

    Raises:
        SettingsError: a named file is missing, or one is unreadable or has a line that sets nothing.
    """
    merged = dict(environ)
    for path in [env_file] if env_file else [folder / name for name in ENV_FILES]:
        if not path.is_file():
            if env_file:
                raise SettingsError(f"--env-file {path}: no such file. Name an existing one.")
            continue
        try:
            _check_lines(path)
            values = dotenv_values(path)
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{path}: cannot be read ({type(error).__name__}). Mend the file.") from None
        for name, value in values.items():
            if value is not None:
                merged.setdefault(name, value)
    return merged


def _check_lines(path: Path) -> None:
    with path.open(encoding="utf-8") as file:
        for line in parse_stream(file):
            if line.error:  # python-dotenv itself leaves it out; its text may be a key
                raise SettingsError(f"{path}, line {line.original.line}: is not NAME=value. Correct it.")
