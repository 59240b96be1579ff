"""Starting, looking at and stopping a gateway: what scripts/start_scalix_litellm.py does."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from scalix_callbacks.cli.console import Console
from scalix_callbacks.cli.start_error import StartError

if TYPE_CHECKING:
    from scalix_callbacks.cli.start_options import Options

APP = "scalix_callbacks.asgi:app"


def main(argv: Sequence[str] | None = None, *, app: str = APP) -> int:
    """Do what `argv` (None: the process's arguments) says.

    Everything a person can do wrong is told in one line on stderr.

    Args:
        app: the import string of the ASGI app the workers serve.

    Returns the exit code: 0 done, 1 not done, 2 not understood, 3 not running (--status).
    """
    # In here, for every worker imports this module again: multiprocessing begins with the main script.
    from scalix_callbacks.cli.start_options import parse
    from scalix_callbacks.ledger.errors import DatabaseError
    from scalix_callbacks.settings import SettingsError

    try:
        options = parse(argv)
    except SystemExit as end:  # the parser has printed what is wrong, or the help
        return end.code if isinstance(end.code, int) else 2
    console = Console()
    try:
        return _do(options, console, app)
    except StartError as error:
        console.fail("\n".join((_one_line(error), *(f"  {line}" for line in error.log_lines))))
    except (SettingsError, DatabaseError) as error:
        console.fail(_one_line(error))
    except KeyboardInterrupt:
        console.fail("Interrupted.")
    return 1


def _do(options: "Options", console: Console, app: str) -> int:
    from scalix_callbacks.cli.data_dir import DataDir
    from scalix_callbacks.cli.running import show_status, stop
    from scalix_callbacks.cli.start_options import Action, data_dir_of, read_settings, settings_values

    values = settings_values(options, os.environ)
    if options.action is Action.STATUS:
        return show_status(DataDir(data_dir_of(values)), console, as_json=options.is_json)
    if options.action is Action.STOP:
        return stop(DataDir(data_dir_of(values)), console)

    from scalix_callbacks.cli.checkup import check
    from scalix_callbacks.cli.detach import go_to_background
    from scalix_callbacks.cli.startup import start

    background = None
    if options.action is Action.DETACH:
        # Before anything that may start a thread, for a fork copies only the one that asks.
        side = go_to_background()
        if isinstance(side, int):
            return side
        background = side
    settings = read_settings(options, values, _asking_litellm(values))
    if options.action is Action.CHECK:
        return check(settings, values, console)
    return start(options, values, settings, console, app, background)


def _asking_litellm(values: Mapping[str, str]) -> Callable[[str], bool]:
    """Whether LiteLLM finds credentials in `values` by itself; only asking imports it, for seconds."""

    def has_default_credentials(model: str) -> bool:
        from scalix_callbacks.cli.child_environment import litellm_environment, replace_environment

        kept = dict(os.environ)
        replace_environment(litellm_environment(values))
        try:
            from scalix_callbacks.proxy.credentials import has_default_credentials

            return has_default_credentials(model)
        finally:
            replace_environment(kept)

    return has_default_credentials


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


if __name__ == "__main__":
    sys.exit(main())
