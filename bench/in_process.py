"""What the pack itself adds to a call and to a chunk, measured where nothing else is at work."""

import json
import os
import subprocess
import sys

from bench.part import Effort, Part, Servers
from bench.processes import folder, python
from bench.redis_server import own_redis
from bench.rounds import in_turn
from bench.servers import pack_environment


def in_process(servers: Servers, effort: Effort) -> Part:
    """Needs none of the servers."""
    told = in_turn({"the pack": measure}, effort.rounds)
    return Part(
        "The pack alone, in process", told.rows(("cpu_us_per_call", "p50_us", "p99_us", "cpu_us_per_chunk"))
    )


def measure(*flags: str) -> dict[str, float]:
    with folder() as home, own_redis() as redis_url:
        environment, key = pack_environment(home, redis_url)
        command = python("-m", "bench.pack", key, *flags)
        told = subprocess.run(command, env=environment, cwd=os.getcwd(), stdout=subprocess.PIPE, check=True)
    figures: dict[str, float] = json.loads(told.stdout.splitlines()[-1])
    return figures


if __name__ == "__main__":
    print(json.dumps(measure(*sys.argv[1:])))
