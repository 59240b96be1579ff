"""`python -m bench.soak`: clients at work for long, while all parts of the gateway are killed in turn."""

import argparse
import itertools
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

from tests.postgresql_server import MISSING, PostgresqlServer, programs
from tests.soak.plan import Fault, faults
from tests.soak.run import run
from tests.soak.verdict import complaints


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the same seed, the same calls and faults (1)")
    parser.add_argument("--faults", type=int, default=40, help="how many, each of eight kinds in turn (40)")
    parser.add_argument("--only", nargs="+", choices=Fault.__members__, default=list(Fault.__members__))
    parser.add_argument("--postgresql", action="store_true", help="on a server of its own; else on SQLite")
    arguments = parser.parse_args()

    folder_of_programs = programs()
    if arguments.postgresql and folder_of_programs is None:
        sys.exit(MISSING)
    chosen = tuple(Fault[name] for name in arguments.only)
    planned = list(itertools.islice(faults(arguments.seed, chosen), arguments.faults))
    server = (
        # Killed, it must still have what it has said to have committed.
        PostgresqlServer(folder_of_programs, synchronous_commit="on")
        if arguments.postgresql and folder_of_programs is not None
        else nullcontext()
    )
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder, server as database:
        evidence = run(Path(folder), arguments.seed, planned, database)
    wrong = complaints(evidence)
    print(*wrong, sep="\n")
    whole = sum(seen.is_whole for seen in evidence.seen)
    print(
        f"{time.monotonic() - began:.0f} s: {len(evidence.seen)} attempts, {whole} answered whole,"
        f" {len(evidence.billed)} calls of the provider, {len(evidence.records)} records,"
        f" {len(planned)} faults; {len(wrong)} complaints"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
