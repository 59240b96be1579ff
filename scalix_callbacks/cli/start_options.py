"""What can be typed behind start_scalix_litellm.py."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from scalix_callbacks.cli.one_line_parser import OneLineParser, filled, filled_path
from scalix_callbacks.settings import Settings, SettingsError, load
from scalix_callbacks.settings.env_files import with_env_files
from scalix_callbacks.settings.model_list import DefaultCredentials
from scalix_callbacks.settings.variables import SETTINGS

PROGRAM = "start_scalix_litellm.py"

_OVERRIDES = {
    "host": "LITELLM_HOST",
    "port": "LITELLM_PORT",
    "workers": "LITELLM_MAX_WORKERS",
    "data_dir": "SCALIX_DATA_DIR",
}


class Action(StrEnum):
    """What is asked for."""

    START = "start"
    DETACH = "detach"
    CHECK = "check"
    STATUS = "status"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Options:
    """The command line. `overrides` are settings by their names; paths are as typed."""

    action: Action
    config: Path | None
    env_file: Path | None
    overrides: Mapping[str, str]
    is_demo: bool
    is_json: bool


def parse(argv: Sequence[str] | None) -> Options:
    """The options in `argv` (None: the process's arguments).

    Raises:
        SystemExit: 2 with one line on stderr for what is not understood, 0 after --help.
    """
    parser = _parser()
    typed = parser.parse_args(argv)
    action = Action(typed.action or Action.START)
    if typed.json and action is not Action.STATUS:
        parser.error("--json goes with --status only")
    if typed.demo and action in (Action.STATUS, Action.STOP):
        parser.error(f"--demo does not go with --{action}")
    overrides = {
        name: value for key, name in _OVERRIDES.items() if (value := getattr(typed, key)) is not None
    }
    return Options(action, typed.config, typed.env_file, overrides, typed.demo, typed.json)


def settings_values(options: Options, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment with the env files' values in it, and the command line's over all.

    Raises:
        SettingsError: an env file that is missing or unreadable, or holds what no environment can.
    """
    values = with_env_files(environ, options.env_file, Path.cwd())
    values.update(options.overrides)
    for name, value in values.items():
        if "\0" in name + value or not name or "=" in name:
            raise SettingsError(f"{name!r}: no environment can hold this. Correct it in the env file.")
    return values


def read_settings(
    options: Options, values: Mapping[str, str], has_default_credentials: DefaultCredentials | None
) -> Settings:
    """All settings, checked.

    Args:
        values: of `settings_values`.

    Raises:
        SettingsError: one sentence, naming the option where a setting was given by one.
    """
    try:
        return load(
            values,
            config=options.config,
            env_file=options.env_file,
            is_demo=options.is_demo,
            has_default_credentials=None if options.is_demo else has_default_credentials,
        )
    except SettingsError as error:
        sentence = str(error)
        for key, name in _OVERRIDES.items():
            if name in options.overrides and sentence.startswith(f"{name}:"):
                sentence = f"--{key.replace('_', '-')}{sentence.removeprefix(name)}"
        raise SettingsError(sentence) from None


def data_dir_of(values: Mapping[str, str]) -> Path:
    """Where the data lies, also when another setting is wrong: a gateway must be stoppable then, too."""
    default = next(setting.default for setting in SETTINGS if setting.name == "SCALIX_DATA_DIR")
    return Path(values.get("SCALIX_DATA_DIR", "").strip() or default or "").expanduser().absolute()


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog=PROGRAM, description="Start, look at and stop a Scalix Gateway.", allow_abbrev=False
    )
    action = parser.add_mutually_exclusive_group()
    for name, about in (
        (Action.CHECK, "validate settings and configuration, start nothing; exit 0 or 1"),
        (Action.DETACH, "start in the background; returns once it is ready, or says why not"),
        (Action.STATUS, "exit 0: running and healthy, 1: running but not healthy, 3: not running"),
        (Action.STOP, "end the running gateway; calls in flight are finished"),
    ):
        action.add_argument(f"--{name}", dest="action", action="store_const", const=name, help=about)
    parser.add_argument(
        "--config", type=filled_path, metavar="FILE", help="the YAML; default: litellm_proxy_config.yaml"
    )
    parser.add_argument(
        "--host", type=filled, help="address to listen on; default: LITELLM_HOST or 127.0.0.1"
    )
    parser.add_argument("--port", type=filled, help="port; default: LITELLM_PORT or 4000; 0 takes a free one")
    parser.add_argument(
        "--workers", type=filled, metavar="N", help="worker processes; default: one per core, 4 at most"
    )
    parser.add_argument("--data-dir", type=filled, metavar="DIR", help="default: SCALIX_DATA_DIR or .scalix")
    parser.add_argument(
        "--env-file", type=filled_path, metavar="FILE", help="default: scalix_config.env, then .env"
    )
    parser.add_argument(
        "--demo", action="store_true", help="no key, no network: a demo provider answers for every model"
    )
    parser.add_argument("--json", action="store_true", help="with --status: print JSON")
    return parser
