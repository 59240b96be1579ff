"""Which gateway to ask, and with which operator's key: for the smoke test and the tour."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scalix_callbacks.cli.data_dir import DataDir
from scalix_callbacks.cli.running import find_running
from scalix_callbacks.cli.start_error import StartError
from scalix_callbacks.settings import SettingsError
from scalix_callbacks.settings.env_files import with_env_files
from scalix_callbacks.settings.environment import DEMO_MASTER_KEY

DEFAULT_URL = "http://127.0.0.1:4000"


class NoTarget(Exception):
    """It cannot be told which gateway is meant; `str()` is the sentence that says what to do."""


@dataclass(frozen=True, slots=True)
class Target:
    """A gateway and its operator's key."""

    url: str
    master_key: str


def find_target(typed: argparse.Namespace, environ: Mapping[str, str]) -> Target:
    """What the options say, then the environment and the env files, then the data directory.

    Raises:
        NoTarget: there is no key.
    """
    try:
        values = with_env_files(environ, None, Path.cwd())
        data_dir = DataDir(typed.data_dir or Path(values.get("SCALIX_DATA_DIR") or ".scalix"))
        running = find_running(data_dir)
    except (SettingsError, StartError) as error:
        raise NoTarget(str(error)) from None
    state = running.state if running else None
    key = typed.master_key or values.get("LITELLM_MASTER_KEY")
    if not key:
        key = DEMO_MASTER_KEY if state and state.is_demo else _kept_key(data_dir.master_key_file)
    if not key and not (typed.url or state):
        raise NoTarget(
            f"No gateway runs on {data_dir.path}: start one (--demo needs no key), or name another's"
            " --data-dir, or its --url and LITELLM_MASTER_KEY."
        )
    if not key:
        raise NoTarget(
            "There is no operator's key: set LITELLM_MASTER_KEY, or name the gateway's --data-dir."
        )
    return Target(typed.url or (state.url if state else DEFAULT_URL), key)


def _kept_key(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise NoTarget(
            f"{path}: the operator's key cannot be read ({type(error).__name__}). Set LITELLM_MASTER_KEY."
        ) from None
