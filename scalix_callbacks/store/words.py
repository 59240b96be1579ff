"""What the scripts are told and say, from and to our types; `scripts/prelude.lua` has the grammar."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from scalix_callbacks.core.limits import (
    HELD_RETRY_S,
    Admitted,
    Ask,
    Counter,
    Decision,
    Denied,
    Settled,
    Standing,
)
from scalix_callbacks.core.tiers import Unit

MAX_EXACT = 2**53 - 1
"""Lua's numbers are doubles: above this they skip integers."""
_NONE = b"-"
_COUNTERS_KNOWN = 1_024
"""They are those of the tiers, and of accounts with limits of their own."""


@dataclass(frozen=True, slots=True)
class OpenCall:
    """An open call, as the store keeps it.

    Attributes:
        group_key: None: it is no attempt of a request.
        windows: `used` is what it is charged when it is given up.
    """

    counters_key: str
    group_key: str | None
    windows: tuple[Standing, ...]
    memo: bytes


def milliseconds(now_s: float | None) -> str:
    """The moment as an argument; empty: Redis' own clock."""
    return "" if now_s is None else str(round(now_s * 1_000))


def asked(ask: Ask) -> str:
    """What a call wants of each counter: `{id amount[~shadow] base per_output}`."""
    words = []
    for counter in ask.counters:
        base, per_output = ask.holds(counter.unit)
        words.append(f"{counter.id} {_amount(counter)} {exact(base)} {exact(per_output)}")
    return " ".join(words)


def counted(counters: Iterable[Counter]) -> str:
    """`{id amount[~shadow]}`."""
    return " ".join(f"{counter.id} {_amount(counter)}" for counter in counters)


def exact(amount: int) -> int:
    """`amount`, where the scripts can count with it.

    Raises:
        ValueError: it is negative.
    """
    if amount < 0:
        raise ValueError(f"An amount cannot be negative: {amount}.")
    return min(amount, MAX_EXACT)


def decision(answer: bytes, counters: Sequence[Counter]) -> Decision | None:
    """What `admit` decided; None: the call was released before."""
    verdict, *words = answer.split()
    if verdict == b"ended":
        return None
    now_ms = int(words[0])
    if verdict in (b"admitted", b"shadowed"):
        output = None if words[1] == _NONE else int(words[1])
        if verdict == b"admitted":
            return Admitted(output, standings(words[2:], counters), now_ms / 1_000)
        over = words[2].decode().split(",")
        shadowed = tuple(counter for counter in counters if counter.id in over)
        return Admitted(output, standings(words[3:], counters), now_ms / 1_000, shadowed)
    by, retry_at, reason = words[1:4]
    is_held = reason == b"held"
    return Denied(
        by=next(counter for counter in counters if counter.id == by.decode()),
        standings=standings(words[4:], counters),
        now_s=now_ms / 1_000,
        retry_after_s=HELD_RETRY_S if is_held else _span_s(now_ms, retry_at),
        is_held=is_held,
        is_too_large=reason == b"too_large",
    )


def settled(answer: bytes) -> Settled | None:
    """What `settle` did; None: nothing was open."""
    verdict, *words = answer.split()
    if verdict != b"settled":
        return None
    rows = tuple(
        Standing(_counter(row[0], row[1]), int(row[2]) / 1_000, int(row[3]), int(row[4]))
        for row in _rows(words[2:], 5)
    )
    return Settled(is_counted=words[1] == b"1", standings=rows)


def standings(words: Sequence[bytes], counters: Sequence[Counter]) -> tuple[Standing, ...]:
    """`{start_ms used held}`, in the order of `counters`."""
    return tuple(
        Standing(counter, int(row[0]) / 1_000, int(row[1]), int(row[2]))
        for counter, row in zip(counters, _rows(words, 3), strict=True)
    )


def open_call(stored: bytes) -> OpenCall:
    """What `admit` keeps of a call."""
    head, holds, memo = stored.split(b"\n", 2)
    counters_key, group_key, _, _ = head.split()
    windows = tuple(
        Standing(_counter(id, amount), int(start) / 1_000, int(base), 0)
        for id, start, _, base, _, amount in _rows(holds.split(), 6)
    )
    return OpenCall(counters_key.decode(), None if group_key == _NONE else group_key.decode(), windows, memo)


def _amount(counter: Counter) -> str:
    amount = "-" if counter.amount is None else str(exact(counter.amount))
    return amount if counter.shadow is None else f"{amount}~{exact(counter.shadow)}"


@lru_cache(maxsize=_COUNTERS_KNOWN)
def _counter(id: bytes, amount: bytes) -> Counter:
    unit, window_s = id.decode().split(":")
    limit, _, shadow = amount.partition(b"~")
    return Counter(
        Unit(unit), int(window_s), None if limit == _NONE else int(limit), int(shadow) if shadow else None
    )


def _span_s(now_ms: int, until_ms: bytes) -> float | None:
    return None if until_ms == _NONE else (int(until_ms) - now_ms) / 1_000


def _rows(words: Sequence[bytes], width: int) -> Iterator[Sequence[bytes]]:
    return (words[i : i + width] for i in range(0, len(words), width))
