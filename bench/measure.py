"""One measurement: a server under a load, in figures. The unit ends each name."""

from collections.abc import Mapping

from bench.figures import quantile
from bench.load import Ask, Load, load
from bench.processes import cpu_s
from bench.servers import Server

WARM_UP_S = 0.7


class WrongAnswers(RuntimeError):
    """A server answered with what was not asked for; its figures would mean nothing."""


def ask_for(server: Server, model: str, *, key: str = "plenty", stream: bool = False) -> Ask:
    body: dict[str, object] = {
        "model": f"scalix-{model}",
        "messages": [{"role": "user", "content": "Say in a few words how a thing is measured."}],
    }
    return Ask(server.url, server.keys[key], {**body, "stream": True} if stream else body)


def measure(server: Server, ask: Ask, at_once: int, seconds: float, *, status: int = 200) -> dict[str, float]:
    """Figures of one load: `rate` in calls per second, `cpu_ms` of all its workers for each call.

    Raises:
        WrongAnswers: not every answer had that status.
    """
    before = cpu_s(server.pids)
    told = load(ask, at_once, seconds)
    spent_s = cpu_s(server.pids) - before
    check(server, told, status)
    calls = len(told.answer_s)
    return {
        "rate": told.rate,
        "p50_ms": quantile(told.answer_s, 0.5) * 1e3,
        "p99_ms": quantile(told.answer_s, 0.99) * 1e3,
        "first_p50_ms": quantile(told.first_s, 0.5) * 1e3,
        "first_p99_ms": quantile(told.first_s, 0.99) * 1e3,
        "chunks_per_s": told.chunks / told.seconds,
        "chunks": told.chunks / calls,
        "cpu_ms": spent_s / calls * 1e3,
        "calls": float(calls),
    }


def warm_up(server: Server, ask: Ask, at_once: int = 8) -> None:
    """What only the first calls cost is not measured; nor is what they answer looked at."""
    load(ask, at_once, WARM_UP_S)


LET_IN = 0.02
"""Of calls over a limit: LiteLLM's own limiter lets some in when a minute begins."""


def check(server: Server, told: Load, status: int) -> None:
    """Raises WrongAnswers."""
    others = told.statuses.total() - told.statuses[status]
    may_be = LET_IN * told.statuses.total() if status == 429 else 0
    if told.broken or others > may_be or not told.answer_s:
        statuses: Mapping[int, int] = dict(told.statuses)
        raise WrongAnswers(f"{server.name}: {statuses} instead of {status}, {told.broken} without an answer")
