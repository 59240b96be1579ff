"""How many streams may be open at once, and what a worker holds after very many calls: our product alone."""

import asyncio
import time
from asyncio import Future
from urllib.parse import urlsplit

import uvloop

from bench.figures import Row
from bench.load import Client, Load, load
from bench.measure import ask_for, check, warm_up
from bench.part import Effort, Part, Servers
from bench.processes import memory_mb
from bench.provider import SLOW_PACE_S
from bench.servers import Server, bare, provider, shipped

WORKERS = 2
STREAMS = 10_000
STREAM = "slow-24"
"""Lives for 24 times `bench.provider.SLOW_PACE_S`, longer than it takes to open them all."""
OPENED_PER_S = 100
ENDED_WITHIN_S = 24 * SLOW_PACE_S + 120
CALLS = 100_000
LOOKED_AT_EVERY = 10_000
AT_ONCE = 32


def open_streams(servers: Servers, effort: Effort) -> Part:
    """Needs none of the servers. Every stream must be whole."""
    with provider() as (upstream, _), shipped(upstream, workers=WORKERS) as server:
        warm_up(server, ask_for(server, "chunks-10", stream=True))
        before_mb = memory_mb(server.pids)
        told, peak, peak_mb = uvloop.run(_open(server))
        check(server, told, 200)
        time.sleep(5)  # what was open is cleared away by then
        row: Row = {
            "": f"{WORKERS} workers",
            "opened": STREAMS,
            "open_at_once": peak,
            "finished": len(told.answer_s),
            "chunks": told.chunks,
            "took_s": told.seconds,
            "kb_per_stream": (peak_mb - before_mb) * WORKERS / peak * 1e3,
            "memory_mb": peak_mb,
            "memory_after_mb": memory_mb(server.pids),
        }
    return Part("Streams open at once, with slow tokens", [row])


async def _open(server: Server) -> tuple[Load, int, float]:
    """What came of them, how many were open at once, and what a worker held then."""
    ask = ask_for(server, STREAM, stream=True)
    raw, address = ask.raw(), urlsplit(ask.url)
    loop, told, ended = asyncio.get_running_loop(), Load(), list[Future[None]]()
    began = time.perf_counter()
    for number in range(STREAMS):
        ended.append(loop.create_future())
        await loop.create_connection(
            lambda: Client(raw, told, 0, ended[-1]), address.hostname or "127.0.0.1", address.port or 80
        )
        await asyncio.sleep(max(began + number / OPENED_PER_S - time.perf_counter(), 0))
    until = time.perf_counter() + ENDED_WITHIN_S
    while len(told.first_s) < STREAMS and time.perf_counter() < until:  # noqa: ASYNC110  # no event tells
        await asyncio.sleep(0.1)
    peak, peak_mb = len(told.first_s) - len(told.answer_s), memory_mb(server.pids)
    _, late = await asyncio.wait(ended, timeout=ENDED_WITHIN_S)
    told.broken += len(late)
    told.seconds = time.perf_counter() - began
    return told, peak, peak_mb


def many_calls(servers: Servers, effort: Effort) -> Part:
    """Needs none of the servers. Whole answers and streams in turn; and LiteLLM without the pack."""
    rows: list[Row] = []
    for start in (shipped, bare):
        with provider() as (upstream, _), start(upstream) as server:
            asks = [ask_for(server, "whole"), ask_for(server, "chunks-10", stream=True)]
            calls, next_look = 0, LOOKED_AT_EVERY
            while calls < CALLS:
                for ask in asks:
                    told = load(ask, AT_ONCE, 5.0)
                    check(server, told, 200)
                    calls += len(told.answer_s)
                if calls >= next_look:
                    next_look += LOOKED_AT_EVERY
                    rows.append({"": server.name, "calls": calls, "memory_mb": memory_mb(server.pids)})
    return Part("Memory of a worker over very many calls", rows)
