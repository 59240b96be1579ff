"""The doctor's command line: arguments → exit code."""

import json
import os
from collections.abc import Sequence

from scalix_callbacks.cli.console import Console
from scalix_callbacks.cli.doctor import report
from scalix_callbacks.cli.doctor.examination import examine
from scalix_callbacks.cli.doctor.options import parse


def main(argv: Sequence[str] | None = None) -> int:
    """Examine and print.

    Returns 0 when it works, 1 when something is broken, 2 for arguments not understood, 130 when interrupted.
    """
    try:
        options = parse(argv)
    except SystemExit as end:  # argparse has printed what is wrong, or the help
        return end.code if isinstance(end.code, int) else 2
    console = Console()
    findings = []
    try:
        for finding in examine(options, dict(os.environ)):
            findings.append(finding)
            if not options.is_json:
                console.say(report.line(finding))
    except KeyboardInterrupt:
        console.fail("Interrupted.")
        return 130
    if options.is_json:
        console.say(json.dumps(report.as_json(findings), indent=2))
    else:
        console.say(report.verdict(findings))
    return report.exit_code(findings)
