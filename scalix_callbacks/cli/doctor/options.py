"""What can be typed behind debug_litellm.py."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scalix_callbacks.cli.one_line_parser import OneLineParser, filled, filled_path

PROGRAM = "debug_litellm.py"
LOCK = Path(__file__).parents[3] / "requirements.lock"


@dataclass(frozen=True, slots=True)
class Options:
    """The command line. `data_dir` None: as the settings say."""

    config: Path | None
    env_file: Path | None
    data_dir: str | None
    lock: Path
    is_live: bool
    is_json: bool


def parse(argv: Sequence[str] | None) -> Options:
    """The options in `argv` (None: the process's arguments).

    Raises:
        SystemExit: 2 with one line on stderr for what is not understood, 0 after --help.
    """
    typed = _parser().parse_args(argv)
    return Options(typed.config, typed.env_file, typed.data_dir, typed.lock, typed.live, typed.json)


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog=PROGRAM,
        description="Examine a Scalix Gateway: what is wrong, and what to do. Exit 1: something is broken.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--config", type=filled_path, metavar="FILE", help="the YAML; default: litellm_proxy_config.yaml"
    )
    parser.add_argument(
        "--env-file", type=filled_path, metavar="FILE", help="default: scalix_config.env, then .env"
    )
    parser.add_argument("--data-dir", type=filled, metavar="DIR", help="default: SCALIX_DATA_DIR or .scalix")
    parser.add_argument(
        "--lock",
        type=filled_path,
        metavar="FILE",
        default=LOCK,
        help="versions to compare with; default: requirements.lock",
    )
    parser.add_argument(
        "--live", action="store_true", help="also try to reach each provider, without a key and without cost"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser
