"""`python -m bench`: starts what is compared, measures part by part, prints tables, writes JSON."""

import argparse
import json
import os
import platform
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from bench import parts, servers
from bench.auto_mode import auto_mode
from bench.caching import cache
from bench.endurance import many_calls, open_streams
from bench.figures import table
from bench.in_process import in_process
from bench.ledger import ledger
from bench.levers import levers
from bench.limiter import limiter
from bench.measure import ask_for, warm_up
from bench.part import Effort, Part
from bench.smart_context import smart_context

SETUPS = {
    "stock": servers.stock,
    "bare": servers.bare,
    "alone": servers.alone,
    "shipped": servers.shipped,
    "limited": servers.limited,
}
PARTS = {
    "calls": parts.calls,
    "streams": parts.streams,
    "refusals": parts.refusals,
    "redis": parts.redis,
    "failures": parts.failures,
    "cache": cache,
    "memory": parts.memory,
    "limiter": limiter,
    "in_process": in_process,
    "levers": levers,
    "open_streams": open_streams,
    "many_calls": many_calls,
    "ledger": ledger,
    "auto_mode": auto_mode,
    "smart_context": smart_context,
}
TAKES_LONG = {"open_streams", "many_calls", "ledger", "auto_mode", "smart_context"}
NEEDS_NO_SERVER = {"limiter", "in_process", "levers"} | TAKES_LONG


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--only",
        nargs="+",
        choices=PARTS,
        default=[part for part in PARTS if part not in TAKES_LONG],
        help="parts to measure",
    )
    parser.add_argument(
        "--servers", nargs="+", choices=SETUPS, default=list(SETUPS), help="what to start and compare"
    )
    parser.add_argument("--rounds", type=int, default=5, help="measurements behind each figure (5)")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one measurement (2)")
    parser.add_argument("--json", type=Path, default=Path("bench.json"), help="where the figures go")
    arguments = parser.parse_args()

    began = time.perf_counter()
    effort = Effort(arguments.rounds, arguments.seconds)
    done: dict[str, Part] = {}
    with ExitStack() as stack:
        upstream, _ = stack.enter_context(servers.provider())
        running = {}
        for name in arguments.servers if set(arguments.only) - NEEDS_NO_SERVER else ():
            print(f"starting {name} …", file=sys.stderr)
            running[name] = stack.enter_context(SETUPS[name](upstream))
            warm_up(running[name], ask_for(running[name], "whole"))
        for name in arguments.only:
            print(f"measuring {name} …", file=sys.stderr)
            part = done[name] = PARTS[name](running, effort)
            print(table(f"\n{part.title}", part.rows))
            if part.ratios:
                print(table("", part.ratios))
    about = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "took_s": round(time.perf_counter() - began),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("litellm", "scalix-gateway", "uvicorn", "redis")},
        "effort": asdict(effort),
    }
    told = {name: asdict(part) for name, part in done.items()}
    arguments.json.write_text(json.dumps({"about": about, "parts": told}, indent=1, ensure_ascii=False))
    print(f"\n{about['took_s']} s; all figures in {arguments.json}")


if __name__ == "__main__":
    main()
