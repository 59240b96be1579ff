"""The smoke test: every check against a running gateway, one line each."""

import argparse
import time
from collections.abc import Sequence

import httpx

from scalix_callbacks.cli.console import Console
from scalix_callbacks.cli.one_line_parser import OneLineParser
from scalix_callbacks.cli.smoke_checks import SUITES
from scalix_callbacks.cli.smoke_client import ODD_ANSWER, GatewayClient, Unexpected
from scalix_callbacks.cli.smoke_command import FAILED, OK, run_command

ALL = "all"


def main(argv: Sequence[str] | None = None, *, http: httpx.Client | None = None) -> int:
    """Do what `argv` (default: the process's arguments) says.

    Args:
        http: asks in the place of a client made for the gateway that is found.

    Returns 0 all is as it should be, 1 something is not, 2 not understood.
    """
    parser = OneLineParser(
        prog="test_scalix_litellm.py",
        description="Checks a running gateway as its clients use it. It makes accounts of its own.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--test", choices=[*SUITES, ALL], default=ALL, help="which checks; default: %(default)s"
    )
    return run_command(parser, argv, http, _test)


def _test(typed: argparse.Namespace, gateway: GatewayClient, console: Console) -> int:
    return run(list(SUITES) if typed.test == ALL else [typed.test], gateway, console)


def run(names: Sequence[str], gateway: GatewayClient, console: Console) -> int:
    """Every check of these suites, also after one that failed."""
    failed = total = 0
    for name in names:
        for sentence, check in SUITES[name](gateway).checks():
            total += 1
            begun = time.monotonic()
            try:
                check()
            except Unexpected as problem:
                failed += 1
                console.say(f"FAILED  {name}: {sentence}: {problem}")
            except ODD_ANSWER as problem:
                failed += 1
                console.say(f"FAILED  {name}: {sentence}: expected another form of answer, got {problem!r}")
            else:
                console.say(f"ok      {name}: {sentence} ({time.monotonic() - begun:.2f} s)")
    console.say(f"{total - failed} ok, {failed} failed.")
    return FAILED if failed else OK
