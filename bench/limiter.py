"""The limiter alone: decisions a second, and what a user costs Redis at rest, few users against many."""

import asyncio
from functools import partial
from statistics import quantiles
from time import perf_counter, process_time

import uvloop
from redis.asyncio import Redis

from bench.figures import Row
from bench.part import Effort, Part, Servers
from bench.redis_server import own_redis
from bench.rounds import in_turn
from scalix_callbacks.core.limits import Ask, Denied, counters_of
from scalix_callbacks.core.tiers import DEFAULT_TIERS
from scalix_callbacks.store.connection import connect
from scalix_callbacks.store.keys import counters_key
from scalix_callbacks.store.limiter import RedisLimiter

USERS = (10, 1_000_000)
AT_ONCE = 16
COPIED_AT_ONCE = 10_000
FULL = "user-full"
PATIENCE_S = 20.0
RECORD = {"call_id": "0" * 32, "user_id": "user", "tier": "free", "outcome": "ok", "prompt_tokens": 100}


def limiter(servers: Servers, effort: Effort) -> Part:
    """Needs none of the servers: a Redis of its own for each number of users."""
    with own_redis() as few_url, own_redis() as many_url:
        benches = [_Bench(url, users) for url, users in zip((few_url, many_url), USERS, strict=True)]
        ways = {f"{bench.users:,} users": partial(bench.measure, effort.seconds) for bench in benches}
        told = in_turn(ways, effort.rounds)
    figures = (
        *("bytes_a_user", "decisions_per_s_redis", "refusals_per_s_redis", "calls_per_s", "p50_ms", "p99_ms"),
        "python_us_per_call",
    )
    few, many = ways
    ratio: Row = {
        "": f"{many} ÷ {few}",
        **{figure: told.ratio(many, few, figure) for figure in figures},
        "of": "K2",
    }
    return Part("The limiter alone", told.rows(figures), [ratio])


class _Bench:
    """A Redis that holds so many users, each with the counters of the free tier."""

    def __init__(self, url: str, users: int) -> None:
        self._url, self.users = url, users
        self._calls = 0
        self._bytes_a_user = 0.0

    def measure(self, seconds: float) -> dict[str, float]:
        return uvloop.run(self._measure(seconds))

    async def _measure(self, seconds: float) -> dict[str, float]:
        redis = connect(self._url)
        try:
            limiter = RedisLimiter(redis, "bench", lambda memo, windows: memo, timeout_s=PATIENCE_S)
            if not self._bytes_a_user:
                await self._fill(redis, limiter)
            return await self._measured(redis, limiter, seconds)
        finally:
            await redis.aclose()

    async def _fill(self, redis: Redis, limiter: RedisLimiter) -> None:
        """One user by real calls; the others are copies of what they left."""
        await self._call(limiter, "user-0")
        while await self._say(limiter, FULL, "free"):
            pass
        await self._forget_records(limiter)
        before = (await redis.info("memory"))["used_memory"]
        pattern = counters_key("user-0")
        for first in range(1, self.users, COPIED_AT_ONCE):
            pipeline = redis.pipeline(transaction=False)
            for number in range(first, min(first + COPIED_AT_ONCE, self.users)):
                pipeline.copy(pattern, counters_key(f"user-{number}"))
            await pipeline.execute()
        self._bytes_a_user = ((await redis.info("memory"))["used_memory"] - before) / (self.users - 1)

    async def _measured(self, redis: Redis, limiter: RedisLimiter, seconds: float) -> dict[str, float]:
        alone: list[float] = []
        until = perf_counter() + seconds / 2
        while (began := perf_counter()) < until:
            await self._call(limiter)
            alone.append((perf_counter() - began) * 1e3)

        await redis.config_resetstat()
        done, began, worked = 0, perf_counter(), process_time()
        while perf_counter() < began + seconds:
            await asyncio.gather(*(self._call(limiter) for _ in range(AT_ONCE)))
            done += AT_ONCE
        took, worked = perf_counter() - began, process_time() - worked
        script_us = await _script_us(redis)
        await self._forget_records(limiter)

        await redis.config_resetstat()
        for _ in range(20):
            await asyncio.gather(*(self._say(limiter, FULL, "free") for _ in range(AT_ONCE)))
        cuts = quantiles(alone, n=100)
        return {
            "bytes_a_user": self._bytes_a_user,
            "decisions_per_s_redis": 1e6 / script_us,
            "refusals_per_s_redis": 1e6 / await _script_us(redis),
            "calls_per_s": done / took,
            "p50_ms": cuts[49],
            "p99_ms": cuts[98],
            "python_us_per_call": worked / done * 1e6,
        }

    async def _call(self, limiter: RedisLimiter, user: str | None = None) -> None:
        """Admits and settles; without limits, for what is measured is no refusal."""
        # A step that meets every user before any again, and not one after the other.
        await self._say(limiter, user or f"user-{self._calls * 7_919 % self.users}", "premium")

    async def _say(self, limiter: RedisLimiter, user: str, tier: str) -> bool:
        self._calls += 1
        ask = Ask(f"{self._calls:032}", user, counters_of(DEFAULT_TIERS[tier]), 100, 750, None, RECORD)
        if isinstance(await limiter.admit(ask), Denied):
            return False
        await limiter.settle(ask, is_counted=True, tokens=400, record=RECORD)
        return True

    async def _forget_records(self, limiter: RedisLimiter) -> None:
        while entries := await limiter.read_outbox(10_000):
            await limiter.acknowledge(entries)


async def _script_us(redis: Redis) -> float:
    """What Redis itself takes for one of our scripts, by its own clock."""
    return float((await redis.info("commandstats"))["cmdstat_evalsha"]["usec_per_call"])
