"""How many decisions a second one worker takes, and what a user costs Redis at rest (spec K1, K2).

Run it as `python -m bench.limiter`; it starts a redis-server of its own and ends by itself.
"""

import argparse
import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import quantiles
from time import perf_counter, process_time

from redis.asyncio import Redis

from scalix_callbacks.cli.embedded_redis import redis_server
from scalix_callbacks.core.limits import Ask, counters_of
from scalix_callbacks.core.tiers import DEFAULT_TIERS
from scalix_callbacks.store.connection import connect
from scalix_callbacks.store.keys import counters_key
from scalix_callbacks.store.limiter import RedisLimiter

USERS = (10, 100_000)
AT_ONCE = 16
FILLED_AT_ONCE = 500
PATIENCE_S = 20.0
RECORD = {"call_id": "0" * 32, "user_id": "user", "tier": "free", "outcome": "ok", "prompt_tokens": 100}


async def measure(redis: Redis, users: int, seconds: float) -> None:
    """Prints what admitting and settling takes while Redis holds `users` users."""
    # Unlimited: what is measured is an admission, not a refusal.
    counters = counters_of(DEFAULT_TIERS["premium"])
    limiter = RedisLimiter(redis, "bench", lambda memo, windows: memo, timeout_s=PATIENCE_S)

    async def call(number: int) -> None:
        ask = Ask(f"{number:032}", f"user-{number % users}", counters, 100, 750, None, RECORD)
        await limiter.admit(ask)
        await limiter.settle(ask, is_counted=True, tokens=400, record=RECORD)

    before = (await redis.info("memory"))["used_memory"]
    for first in range(0, users, FILLED_AT_ONCE):
        await asyncio.gather(*map(call, range(first, min(first + FILLED_AT_ONCE, users))))
    while entries := await limiter.read_outbox(10_000):
        await limiter.acknowledge(entries)
    whole = ((await redis.info("memory"))["used_memory"] - before) / users
    each = await redis.memory_usage(counters_key("user-1"), samples=0)

    alone: list[float] = []
    until = perf_counter() + seconds
    while (began := perf_counter()) < until:
        await call(len(alone))
        alone.append((perf_counter() - began) * 1_000)

    await redis.config_resetstat()
    done, began, worked = 0, perf_counter(), process_time()
    while perf_counter() < began + seconds:
        await asyncio.gather(*map(call, range(done, done + AT_ONCE)))
        done += AT_ONCE
    took, worked = perf_counter() - began, process_time() - worked
    script_us = (await redis.info("commandstats"))["cmdstat_evalsha"]["usec_per_call"]

    cuts = quantiles(alone, n=100)
    print(
        f"{users:>7,} users: {each} bytes each (MEMORY USAGE), {whole:,.0f} of used_memory with all overheads"
    )
    print(
        f"    one at a time: {len(alone) / seconds:,.0f} calls/s, p50 {cuts[49]:.2f}, p99 {cuts[98]:.2f} ms"
    )
    print(
        f"    {AT_ONCE} at once:    {done / took:,.0f} calls/s, {2 * done / took:,.0f} scripts/s,"
        f" {worked / done * 1e6:,.0f} µs of Python a call, {script_us:.1f} µs of Redis a script"
    )


@contextmanager
def own_redis() -> Iterator[str]:
    """The URL of a server that ends with the block."""
    folder = tempfile.mkdtemp(prefix="bench-")
    socket = f"{folder}/r.sock"
    command = [redis_server(), "--port", "0", "--unixsocket", socket, "--save", "", "--dir", folder]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        next(line for line in process.stdout if b"eady to accept connections" in line)
        yield f"unix://{socket}"
    finally:
        process.terminate()
        process.communicate()
        shutil.rmtree(folder)


async def run(url: str, users: int, seconds: float) -> None:
    redis = connect(url)
    await measure(redis, users, seconds)
    await redis.aclose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each measurement takes")
    arguments = parser.parse_args()
    for users in USERS:
        with own_redis() as url:
            asyncio.run(run(url, users, arguments.seconds))


if __name__ == "__main__":
    main()
