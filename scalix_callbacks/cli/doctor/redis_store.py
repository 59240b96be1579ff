"""Whether Redis is there and fit for what is kept in it: counters and the outbox."""

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from scalix_callbacks.cli.doctor.finding import Finding, broken, ok, told, unknown, warning
from scalix_callbacks.cli.doctor.subject import Subject
from scalix_callbacks.cli.embedded_redis import url_of_socket
from scalix_callbacks.cli.external_redis import OLDEST, TIMEOUT_S, check_redis, servers_of, setting_of
from scalix_callbacks.cli.running import find_running
from scalix_callbacks.cli.start_error import StartError
from scalix_callbacks.store.connection import TIMEOUT_S as COMMAND_TIMEOUT_S

NEWEST_MAJOR = 8
SLOW_MS = 10.0
PINGS = 20

_SCRIPT = "return ARGV[1]"


@dataclass(frozen=True, slots=True)
class RedisFacts:
    """What a Redis says of itself; None: this user may not ask.

    Attributes:
        version: e.g. `7.2.4`; a Valkey's is that of the Redis it stands for.
        max_memory: in bytes; 0: no bound.
        median_ping_ms: of 20 round trips.
        script_refusal: the class of the error a script met; None: scripts run.
    """

    version: str | None
    is_append_only: bool | None
    max_memory: int | None
    eviction: str | None
    is_replica: bool | None
    median_ping_ms: float
    script_refusal: str | None


def examine(subject: Subject, trial_url: str | None, problem: StartError | None) -> Iterator[Finding]:
    """Of the Redis a start would use.

    Args:
        trial_url: of an embedded one, started for this; None: there can be none, and `problem` says why.
    """
    if subject.environment is None:
        yield unknown("Redis")
        return
    if subject.environment.redis_url is not None:
        yield from of(subject.environment.redis_url, "The configured one", setting_of(subject.values))
        return
    running = find_running(subject.data_dir)
    if running is not None and running.state is not None and running.state.redis_socket is not None:
        yield from of(
            url_of_socket(Path(running.state.redis_socket)), "The embedded one of the running gateway"
        )
    elif trial_url is not None:
        yield from of(trial_url, "The embedded one, started for a trial,")
    elif problem is not None:
        yield told("Redis", problem)


def of(url: str, whose: str, setting: str = "REDIS_URL") -> Iterator[Finding]:
    """Of the Redis at `url`, which `setting` names, of a cluster all its masters; `whose` says which one."""
    try:
        check_redis(url, setting)
        servers = servers_of(url)
        facts = [look(server) for server in servers]
    except StartError as error:
        yield told("Redis", error)
        return
    except (redis.RedisError, OSError) as error:
        yield broken("Redis", f"It stopped answering ({type(error).__name__}).", "Look into its log.")
        return
    yield ok("Redis", f"{whose} answers{f', all {len(servers)} masters of it' if len(servers) > 1 else ''}.")
    # Of what is found in several of them, once is enough.
    yield from dict.fromkeys(each for server in facts for each in findings(server))


def look(url: str) -> RedisFacts:
    """Asks the Redis at `url`; changes nothing in it.

    Raises:
        RedisError, OSError: it does not answer.
    """
    client = redis.Redis.from_url(
        url,
        socket_timeout=TIMEOUT_S,
        socket_connect_timeout=TIMEOUT_S,
        retry=None,
        single_connection_client=True,
        decode_responses=True,
    )
    with client:
        info = _info(client)
        return RedisFacts(
            version=_text(info.get("redis_version")),
            is_append_only=None if "aof_enabled" not in info else bool(info["aof_enabled"]),
            max_memory=info.get("maxmemory"),
            eviction=_text(info.get("maxmemory_policy")),
            is_replica=None if "role" not in info else info["role"] == "slave",
            median_ping_ms=statistics.median(_ping_ms(client) for _ in range(PINGS)),
            script_refusal=_script_refusal(client),
        )


def findings(facts: RedisFacts) -> Iterator[Finding]:
    yield _version(facts.version)
    if facts.is_replica:
        yield broken("Redis role", "A replica, which takes no writes.", "Name its primary in REDIS_URL.")
    yield _persistence(facts.is_append_only)
    yield _memory(facts.max_memory, facts.eviction)
    yield _latency(facts.median_ping_ms)
    if facts.script_refusal is None:
        yield ok("Redis scripts", "EVAL and EVALSHA are allowed.")
    else:
        yield broken(
            "Redis scripts",
            f"A script is refused ({facts.script_refusal}); every limit is counted by one.",
            "Allow this user EVAL and EVALSHA (ACL: +@scripting).",
        )


def _version(version: str | None) -> Finding:
    numbers = [int(part) for part in (version or "").split(".")[:2] if part.isdigit()]
    if version is None or len(numbers) < 2:
        return warning("Redis version", "It does not tell its version.", "See that it is 6.2 to 8.")
    if tuple(numbers) < OLDEST:
        return broken("Redis version", f"{version} is too old.", "Upgrade it; 6.2 is needed.")
    if numbers[0] > NEWEST_MAJOR:
        return warning(
            "Redis version", f"{version} is newer than what this was tested with.", "Prefer 6.2 to 8."
        )
    return ok("Redis version", f"{version}.")


def _persistence(is_append_only: bool | None) -> Finding:
    if is_append_only:
        return ok("Redis persistence", "Append-only file.")
    found = (
        "No append-only file"
        if is_append_only is False
        else "It does not tell whether it has an append-only file"
    )
    return warning(
        "Redis persistence",
        f"{found}: when it ends, counters and records on their way to the ledger may be lost.",
        "Set appendonly yes, or see that your provider persists every write.",
    )


def _memory(max_memory: int | None, eviction: str | None) -> Finding:
    if max_memory == 0 or eviction == "noeviction":
        return ok("Redis memory", "It evicts nothing.")
    found = (
        "It does not tell what it evicts" if eviction is None else f"It evicts keys when full ({eviction})"
    )
    return warning(
        "Redis memory",
        f"{found}: counters and records on their way to the ledger may vanish.",
        "Set maxmemory-policy noeviction.",
    )


def _latency(median_ms: float) -> Finding:
    shown = f"{median_ms:.2f} ms in the median of {PINGS}."
    if median_ms >= COMMAND_TIMEOUT_S * 1_000:
        return broken(
            "Redis latency",
            f"{shown} Commands are given up after {COMMAND_TIMEOUT_S * 1_000:.0f} ms.",
            "Run Redis near the gateway.",
        )
    if median_ms > SLOW_MS:
        return warning(
            "Redis latency", f"{shown} Every call waits for it twice.", "Run Redis near the gateway."
        )
    return ok("Redis latency", shown)


def _info(client: redis.Redis) -> dict[str, Any]:
    try:
        info: Any = client.info()
    except redis.ResponseError:  # NoPermissionError among them
        return {}
    return dict(info)


def _ping_ms(client: redis.Redis) -> float:
    began = time.perf_counter()
    client.ping()
    return (time.perf_counter() - began) * 1_000


def _script_refusal(client: redis.Redis) -> str | None:
    try:
        client.eval(_SCRIPT, 0, "1")
        client.register_script(_SCRIPT)(args=["1"])
    except redis.ResponseError as error:
        return type(error).__name__
    return None


def _text(value: object) -> str | None:
    return None if value is None else str(value)
