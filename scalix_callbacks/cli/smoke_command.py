"""What the smoke test and the tour have in common as commands: from what was typed to a gateway."""

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx

from scalix_callbacks.cli.console import Console
from scalix_callbacks.cli.smoke_client import TIMEOUT_S, GatewayClient
from scalix_callbacks.cli.smoke_target import DEFAULT_URL, NoTarget, find_target

OK, FAILED, USAGE = 0, 1, 2

Work = Callable[[argparse.Namespace, GatewayClient, Console], int]
"""What was typed, the gateway and the terminal → exit code."""


def run_command(
    parser: argparse.ArgumentParser, argv: Sequence[str] | None, http: httpx.Client | None, work: Work
) -> int:
    """`work` on the gateway that `argv` (None: the process's arguments) names.

    Args:
        parser: with the command's own options; those that name the gateway are added.
        http: asks in the place of a client made for the gateway that is found.

    Returns its exit code, 1 when there is no gateway, 2 for what is not understood.
    """
    _add_options(parser)
    console = Console()
    try:
        typed = parser.parse_args(argv)
        target = find_target(typed, os.environ)
        if not target.url.startswith(("http://", "https://")):
            raise httpx.InvalidURL("no scheme")
        connected = http or httpx.Client(base_url=target.url, timeout=TIMEOUT_S)
    except SystemExit as end:  # the parser has printed what is wrong, or the help
        return OK if not end.code else USAGE
    except NoTarget as error:
        console.fail(str(error))
        return FAILED
    except httpx.InvalidURL:
        console.fail("--url is no address: write one such as http://127.0.0.1:4000.")
        return USAGE
    with connected:
        gateway = GatewayClient(connected, target.master_key)
        if (obstacle := gateway.obstacle()) is not None:
            console.fail(obstacle.format(url=target.url))
            return FAILED
        console.say(f"The gateway at {target.url}")
        return work(typed, gateway, console)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--url", help=f"where the gateway is; default: what runs on the data directory, or {DEFAULT_URL}"
    )
    parser.add_argument("--master-key", metavar="KEY", help="default: $LITELLM_MASTER_KEY, or the kept one")
    parser.add_argument(
        "--data-dir", type=Path, metavar="DIR", help="of the gateway, to find its address and key in"
    )
