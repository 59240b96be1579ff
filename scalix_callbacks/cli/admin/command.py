"""Arguments → exit code; the only one that prints."""

import argparse
import io
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from scalix_callbacks.cli.admin import parser
from scalix_callbacks.cli.admin.counters import is_running, redis_url
from scalix_callbacks.cli.admin.office import Answer, Command, Office, Refused, Task
from scalix_callbacks.cli.ledger_database import opened
from scalix_callbacks.ledger.account_rules import AccountError
from scalix_callbacks.ledger.accounts import Accounts, utc_now
from scalix_callbacks.ledger.audit import Actor
from scalix_callbacks.ledger.database import DatabaseError, migrate
from scalix_callbacks.ledger.usage_sums import UsageSums
from scalix_callbacks.settings import Settings, SettingsError, load

OK, REFUSED, USAGE = 0, 1, 2


def main(argv: Sequence[str] | None = None) -> int:
    """Do what `argv` (default: the process's arguments) says.

    Returns 0 done, 1 refused with one sentence on stderr, 2 not understood.
    """
    try:
        arguments = parser.build().parse_args(argv)
    except SystemExit as end:  # the parser has printed what is wrong, or the help
        return OK if not end.code else USAGE
    try:
        answer = _done(arguments)
    except (Refused, AccountError, DatabaseError, SettingsError) as error:
        print(error, file=sys.stderr)
        return REFUSED
    return answer.code


def _done(arguments: argparse.Namespace) -> Answer:
    task: Task | None = getattr(arguments, "task", None)
    if task is not None:
        answer = task(arguments, _settings(arguments))
        _print(answer, arguments.json)
        return answer
    with _office(arguments) as office:
        command: Command = arguments.command
        answer = command(arguments, office)
        _print(answer, arguments.json)
    return answer


def _print(answer: Answer, is_json: bool) -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):  # a key shown once must not be lost to an odd terminal
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        if answer.pieces is not None:
            sys.stdout.writelines(answer.pieces)
        else:
            print(json.dumps(answer.data, indent=2) if is_json else answer.text)
        sys.stdout.flush()
    except BrokenPipeError:  # who reads, such as `head`, has read enough
        _let_go_of_stdout()
    except OSError as error:
        _let_go_of_stdout()
        raise Refused(f"It is done, but its answer could not be written: {error.strerror}.") from error


def _let_go_of_stdout() -> None:
    """Python writes what is left there at its end, and would fail again."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


@contextmanager
def _office(arguments: argparse.Namespace) -> Iterator[Office]:
    settings = _settings(arguments)
    if settings.database_url.startswith("sqlite"):
        _check_not_beside(settings)
        _make_folder(settings.data_dir)
    with opened(settings) as engine:
        migrate(engine)
        accounts, sums = Accounts(engine, actor=Actor.CLI), UsageSums(engine)
        redis = redis_url(settings)
        yield Office(accounts, sums, settings.tiers, utc_now(), engine, redis, settings.rollout)


def _settings(arguments: argparse.Namespace) -> Settings:
    overrides = {} if arguments.data_dir is None else {"SCALIX_DATA_DIR": str(arguments.data_dir)}
    return load(os.environ, config=arguments.config, env_file=arguments.env_file, overrides=overrides)


def _check_not_beside(settings: Settings) -> None:
    """The database of a running gateway is there; one made beside it would be for nobody."""
    file = settings.data_dir / "scalix.db"
    if settings.database_url == f"sqlite:///{file}" and not file.exists() and is_running(settings):
        raise Refused(
            f"The gateway that runs on {settings.data_dir} keeps its accounts in another database: name it"
            " as the gateway was told it, by SCALIX_DATABASE_URL or --env-file."
        )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Refused(f"The data directory {folder} cannot be made: {error.strerror}.") from error
