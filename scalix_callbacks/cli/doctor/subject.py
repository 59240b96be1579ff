"""What is examined: the settings, or as much of them as can be read."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from scalix_callbacks.cli.child_environment import litellm_environment, replace_environment
from scalix_callbacks.cli.data_dir import DataDir
from scalix_callbacks.cli.doctor.options import Options
from scalix_callbacks.cli.running import find_running
from scalix_callbacks.cli.start_error import StartError
from scalix_callbacks.cli.start_options import Action, data_dir_of, read_settings, settings_values
from scalix_callbacks.cli.start_options import Options as StartOptions
from scalix_callbacks.core.redact import Redactor
from scalix_callbacks.settings import DEFAULT_CONFIG, Environment, Settings, SettingsError
from scalix_callbacks.settings.environment import read_environment
from scalix_callbacks.settings.secrets import secrets
from scalix_callbacks.settings.yaml_file import read_config

_ADDRESSES = ("_BASE_URL", "_API_BASE", "_ENGINE_URL", "_GATEWAY_URL")


@dataclass(frozen=True, slots=True)
class Subject:
    """A gateway's settings.

    Attributes:
        values: the environment with the env files' values.
        environment, settings: None: they cannot be read; `problem` says why.
        env_file: the one named; None: the default ones.
        redact: takes all their secrets, and the providers' addresses, out of a text.
    """

    values: Mapping[str, str] = field(repr=False)
    data_dir: DataDir
    environment: Environment | None
    settings: Settings | None
    problem: SettingsError | None
    env_file: Path | None
    redact: Redactor = field(repr=False)


def read_subject(options: Options, environ: Mapping[str, str]) -> Subject:
    """Reads the settings as a start would, beside a demo as its start did; never fails for what they say."""
    overrides = {} if options.data_dir is None else {"SCALIX_DATA_DIR": options.data_dir}
    start = StartOptions(
        Action.CHECK, options.config, options.env_file, overrides, is_demo=False, is_json=options.is_json
    )
    settings, problem = None, None
    values: Mapping[str, str] = {**environ, **overrides}
    try:
        values = settings_values(start, environ)
        start = replace(start, is_demo=_runs_a_demo(DataDir(data_dir_of(values))))
        settings = read_settings(start, values, lambda model: _has_default_credentials(model, values))
    except SettingsError as error:
        problem = error
    return Subject(
        values=values,
        data_dir=DataDir(data_dir_of(values)),
        environment=settings.environment if settings else _environment(values),
        settings=settings,
        problem=problem,
        env_file=options.env_file,
        redact=_redactor(settings, options.config or DEFAULT_CONFIG, values),
    )


@contextmanager
def as_process_environment(values: Mapping[str, str]) -> Iterator[None]:
    """Makes `values` what LiteLLM finds in this process, for a while."""
    kept = dict(os.environ)
    replace_environment(litellm_environment(values))
    try:
        yield
    finally:
        replace_environment(kept)


def _runs_a_demo(data_dir: DataDir) -> bool:
    try:
        running = find_running(data_dir)
    except StartError:  # it cannot be looked into, which has a line of its own
        return False
    return running is not None and running.state is not None and running.state.is_demo


def _has_default_credentials(model: str, values: Mapping[str, str]) -> bool:
    from scalix_callbacks.proxy.credentials import has_default_credentials

    with as_process_environment(values):
        return has_default_credentials(model)


def _environment(values: Mapping[str, str]) -> Environment | None:
    try:
        return read_environment(values)
    except SettingsError:
        return None


def _redactor(settings: Settings | None, path: Path, values: Mapping[str, str]) -> Redactor:
    config = settings.config if settings else {}
    if settings is None:
        try:
            config = read_config(path)
        except SettingsError:
            config = {}
    # Also those that the configuration does not name: a sentence may quote any variable.
    addresses = [value for name, value in values.items() if name.endswith(_ADDRESSES)]
    return Redactor(secrets({"configured": config, "api_base": addresses}, values))
