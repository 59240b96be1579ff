"""What is measured on running servers: calls, streams, refusals, Redis, failures, memory."""

from collections.abc import Sequence
from functools import partial

from redis import Redis

from bench.figures import Row
from bench.load import load
from bench.measure import ask_for, check, measure, warm_up
from bench.part import Effort, Part, Servers
from bench.processes import memory_mb
from bench.rounds import Rounds, in_turn
from bench.servers import Server

AT_ONCE = (1, 4, 16, 64)
STREAMS_AT_ONCE = 8
STREAM_ROUNDS = 4
"""For each one of other parts, and half as long: for about a second in four this machine takes half as much
CPU again for a chunk, whoever works, which a few long rounds can meet with one server alone."""
SHORT, LONG = 10, 210
PAIRS = (
    ("alone", "stock", "K1 (a), the pack in `litellm --config`"),
    ("shipped", "bare", "K1 (a), the pack in our server"),
    ("shipped", "stock", "K1 (b)"),
    ("shipped", "limited", "K1 (c)"),
)
"""What is divided by what, and the promise it belongs to."""


def calls(servers: Servers, effort: Effort) -> Part:
    """Whole answers."""
    rows: list[Row] = []
    ratios: list[Row] = []
    for at_once in AT_ONCE:
        ways = {
            name: partial(measure, server, ask_for(server, "whole"), at_once, effort.seconds)
            for name, server in servers.items()
        }
        told = in_turn(ways, effort.rounds)
        rows += told.rows(("rate", "p50_ms", "p99_ms", "cpu_ms"), at_once=at_once)
        ratios += _ratios(told, ("rate", "p50_ms", "p99_ms", "cpu_ms"), at_once=at_once)
    return Part("Calls", rows, ratios)


def streams(servers: Servers, effort: Effort) -> Part:
    """Streams; what a chunk costs is the difference between long and short ones over that of their chunks."""

    def both(server: Server) -> dict[str, float]:
        asks = [ask_for(server, f"chunks-{length}", stream=True) for length in (SHORT, LONG)]
        short, long = (measure(server, ask, STREAMS_AT_ONCE, seconds) for ask in asks)
        alone = measure(server, asks[0], 1, seconds)
        return {
            "first_p50_ms": alone["first_p50_ms"],
            "first_p99_ms": alone["first_p99_ms"],
            "streams_per_s": long["rate"],
            "chunks_per_s": long["chunks_per_s"],
            "cpu_us_per_chunk": (long["cpu_ms"] - short["cpu_ms"]) / (LONG - SHORT) * 1e3,
            "cpu_ms_besides": short["cpu_ms"] * LONG / (LONG - SHORT)
            - long["cpu_ms"] * SHORT / (LONG - SHORT),
        }

    seconds = effort.seconds / 2
    ways = {name: partial(both, server) for name, server in servers.items()}
    told = in_turn(ways, effort.rounds * STREAM_ROUNDS)
    figures = ("first_p50_ms", "first_p99_ms", "chunks_per_s", "cpu_us_per_chunk", "cpu_ms_besides")
    return Part("Streams", told.rows(figures), _ratios(told, figures))


def refusals(servers: Servers, effort: Effort) -> Part:
    """Calls over a limit (429), and calls with a key that is none (401, or what stock has for it)."""
    ways = {}
    for name, server in servers.items():
        for key in ("refused", "unknown"):
            if key not in server.keys:
                continue
            ask = ask_for(server, "whole", key=key)
            warm_up(server, ask)
            status = 429 if key == "refused" else _only_status(server, key)
            ways[f"{name}, {key} ({status})"] = partial(
                measure, server, ask, 16, effort.seconds, status=status
            )
    told = in_turn(ways, effort.rounds)
    ratios: list[Row] = []
    for under in ("limited", "stock"):
        for key in ("refused", "unknown"):
            ours, theirs = (
                next((way for way in ways if way.startswith(f"{name}, {key}")), "")
                for name in ("shipped", under)
            )
            if (ratio := told.ratio(ours, theirs, "rate")) is not None:
                ratios.append({"": f"shipped ÷ {under}, {key}", "rate": ratio, "of": "K1 (d)"})
    return Part("Refusals", told.rows(("rate", "p50_ms", "p99_ms", "cpu_ms")), ratios)


def redis(servers: Servers, effort: Effort) -> Part:
    """Commands as Redis itself has counted them, the background's included."""
    rows: list[Row] = []
    details = {}
    for name, server in servers.items():
        if server.redis_url is None:
            continue
        ask = ask_for(server, "whole")
        warm_up(server, ask)
        with Redis.from_url(server.redis_url) as client:
            before = _commands(client)
            told = load(ask, 16, effort.seconds)
            after = _commands(client)
        check(server, told, 200)
        done = {
            command: (count - before.get(command, 0)) / len(told.answer_s)
            for command, count in after.items()
            if count > before.get(command, 0) and command not in ("info", "ping")
        }
        details[name] = done
        each = sorted(done.items(), key=lambda item: -item[1])
        shown = ", ".join(f"{command} {count:.2f}" for command, count in each if count >= 0.05)
        # What a script does itself is counted, too, but is no round trip.
        sent = sum(count for command, count in done.items() if command.startswith("eval"))
        rows.append(
            {"": name, "scripts_per_call": sent, "commands_per_call": sum(done.values()), "of which": shown}
        )
    return Part("Redis", rows, details=details)


def memory(servers: Servers, effort: Effort) -> Part:
    """Of a worker alone, after what the parts before have asked of it; and how long the start took."""
    rows: list[Row] = [
        {"": name, "start_s": server.start_s, "memory_mb": memory_mb(server.pids)}
        for name, server in servers.items()
    ]
    return Part("Start, memory", rows)


def failures(servers: Servers, effort: Effort) -> Part:
    """How many calls are answered where the provider fails one call in twenty."""
    rows: list[Row] = []
    for name, server in servers.items():
        told = load(ask_for(server, "flaky"), 16, effort.seconds * effort.rounds)
        asked = sum(told.statuses.values()) + told.broken
        rows.append({"": name, "calls": asked, "answered_%": told.statuses[200] / asked * 100})
    return Part("One provider call in twenty fails", rows)


def _ratios(told: Rounds, figures: Sequence[str], **about: float) -> list[Row]:
    return [
        {
            "": f"{over} ÷ {under}",
            **about,
            **{figure: told.ratio(over, under, figure) for figure in figures},
            "of": promise,
        }
        for over, under, promise in PAIRS
        if over in told.by_name and under in told.by_name
    ]


def _only_status(server: Server, key: str) -> int:
    (status,) = load(ask_for(server, "whole", key=key), 1, 0.05).statuses
    return status


def _commands(client: Redis) -> dict[str, int]:
    told = client.info("commandstats")
    return {name.removeprefix("cmdstat_"): int(stats["calls"]) for name, stats in told.items()}
