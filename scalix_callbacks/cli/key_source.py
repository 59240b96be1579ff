"""Which master key holds, and how a person gets at it; the key itself is shown to nobody."""

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values

from scalix_callbacks.settings import Settings
from scalix_callbacks.settings.env_files import ENV_FILES
from scalix_callbacks.settings.environment import DEMO_MASTER_KEY

_NAME = "LITELLM_MASTER_KEY"


@dataclass(frozen=True, slots=True)
class KeySource:
    """Where the operator's key is.

    Attributes:
        place: for a person.
        shell: what a shell replaces by the key; None: it must be put into $LITELLM_MASTER_KEY first.
    """

    place: str
    shell: str | None


def find_key(
    settings: Settings, environ: Mapping[str, str], env_file: Path | None, kept_in: Path
) -> KeySource:
    """Where the key of `settings` comes from.

    Args:
        environ: the process's own environment, without env files.
        kept_in: the file of the key that is made when none is set.
    """
    key = settings.environment.master_key
    if key is None:
        return KeySource(f"in the file {kept_in}", f"$(cat {shlex.quote(str(kept_in))})")
    if key == DEMO_MASTER_KEY:
        return KeySource("the published one of the demo", DEMO_MASTER_KEY)
    if environ.get(_NAME) == key:
        return KeySource(f"in the variable {_NAME}", f"${_NAME}")
    for path in [env_file] if env_file else [Path.cwd() / name for name in ENV_FILES]:
        if path.is_file() and dotenv_values(path).get(_NAME) == key:
            read = (sys.executable, "-m", "dotenv", "-f", str(path.absolute()), "get", _NAME)
            return KeySource(f"{_NAME} in {path}", f"$({shlex.join(read)})")
    return KeySource(f"general_settings.master_key in {settings.config_path}", None)
