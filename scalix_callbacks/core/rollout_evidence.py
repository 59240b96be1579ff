"""What calls show of a flag, minute by minute, and when that is enough to take it back.

A rollback needs every one of the last whole minutes: for errors, five in a row with at least `min_calls`
calls and a share of errors above 10 % in each; for slowness, ten in a row with at least `min_calls` answers
and a 95th percentile above 10 s in each. A minute with fewer calls is no evidence, neither for nor against,
and so ends the row. The minute under way never counts.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scalix_callbacks.core.errors import OF_MODELS, ErrorCategory
from scalix_callbacks.core.record import Outcome

FAULTS = OF_MODELS | {ErrorCategory.SERVICE_UNAVAILABLE, ErrorCategory.INTERNAL}
"""Ours or the provider's. Every other error is the user's own or a refusal, and such a call shows nothing: a
limit's, or that of our own waiting room (`OVERLOADED`), which hits whoever comes while it is full."""
BOUNDS_S = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0)
"""Of the buckets that a percentile is told from."""
PERCENTILE = 0.95
LEAST_CALLS = 5
"""Of one user, to tell whether they are well."""


@dataclass(frozen=True, slots=True)
class Triggers:
    """When a flag is rolled back.

    Attributes:
        error_percent, error_minutes: above so many percent in each of so many minutes.
        p95_s, p95_minutes: likewise.
        min_calls: with fewer a minute is no evidence.
        minute_s: how long a minute is; shorter ones are for trying it out.
    """

    error_percent: float = 10.0
    error_minutes: int = 5
    p95_s: float = 10.0
    p95_minutes: int = 10
    min_calls: int = 20
    minute_s: int = 60

    @property
    def minutes(self) -> int:
        """How many are looked at."""
        return max(self.error_minutes, self.p95_minutes)

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True)
class Minute:
    """Of one flag.

    Attributes:
        calls: with an answer or a fault.
        slow: answers later than `Triggers.p95_s`; exact, whatever the buckets.
        buckets: answers by `BOUNDS_S`, the last for what took longer.
    """

    calls: int = 0
    errors: int = 0
    slow: int = 0
    buckets: dict[int, int] = field(default_factory=dict)

    def add(self, is_fault: bool, took_s: float, triggers: Triggers) -> None:
        self.calls += 1
        if is_fault:
            self.errors += 1
            return
        self.slow += took_s > triggers.p95_s
        bucket = bisect_left(BOUNDS_S, took_s)
        self.buckets[bucket] = self.buckets.get(bucket, 0) + 1

    def __add__(self, other: "Minute") -> "Minute":
        both = {
            bucket: self.buckets.get(bucket, 0) + other.buckets.get(bucket, 0)
            for bucket in {*self.buckets, *other.buckets}
        }
        return Minute(self.calls + other.calls, self.errors + other.errors, self.slow + other.slow, both)

    @property
    def answers(self) -> int:
        return self.calls - self.errors

    @property
    def error_percent(self) -> float | None:
        return 100 * self.errors / self.calls if self.calls else None

    @property
    def p95_s(self) -> float | None:
        """The upper bound of its bucket; beyond the last bound, that. None: nothing was answered."""
        if not self.answers:
            return None
        left = self.answers * PERCENTILE
        for bucket in sorted(self.buckets):
            left -= self.buckets[bucket]
            if left <= 0:
                break
        return BOUNDS_S[min(bucket, len(BOUNDS_S) - 1)]

    def to_fields(self) -> dict[str, int]:
        """As it is stored and summed up."""
        named = {"calls": self.calls, "errors": self.errors, "slow": self.slow}
        buckets = {f"b{bucket}": count for bucket, count in self.buckets.items()}
        return {name: count for name, count in {**named, **buckets}.items() if count}

    @classmethod
    def of_fields(cls, fields: Mapping[str, int]) -> "Minute":
        buckets = {i: fields[f"b{i}"] for i in range(len(BOUNDS_S) + 1) if f"b{i}" in fields}
        return cls(fields.get("calls", 0), fields.get("errors", 0), fields.get("slow", 0), buckets)

    def to_json(self) -> dict[str, Any]:
        share = self.error_percent
        return {
            "calls": self.calls,
            "errors": self.errors,
            "error_percent": None if share is None else round(share, 2),
            "p95_s": self.p95_s,
        }


def is_refusal(error: ErrorCategory, *, was_tried: bool, is_retryable: bool) -> bool:
    """Whether it is one of `FAULTS` by name alone: there is no such model to be had, whoever asks for it.

    Args:
        was_tried: the call got as far as being admitted.
        is_retryable: the same call may be answered later.
    """
    return error is ErrorCategory.MODEL_UNAVAILABLE and not (was_tried and is_retryable)


def waited_s(first_s: float | None, whole_s: float, has_left: bool, triggers: Triggers) -> float | None:
    """How long a client waited for an answer; None: it left too early to tell.

    A stream is there with its first token: how long the rest takes is the length of the answer.

    Args:
        first_s: until the first token; None: no stream, or there was none.
        has_left: the client went away before the end.
    """
    if first_s is not None:
        return first_s
    return None if has_left and whole_s <= triggers.p95_s else whole_s


def fired(minutes: Sequence[Minute], triggers: Triggers) -> dict[str, Any] | None:
    """Why a flag is to be rolled back, with the numbers; None: it is not.

    Args:
        minutes: whole ones, the newest first, at least `Triggers.minutes` of them.
    """
    failing = minutes[: triggers.error_minutes]
    if len(failing) == triggers.error_minutes and all(
        each.calls >= triggers.min_calls and each.errors * 100 > triggers.error_percent * each.calls
        for each in failing
    ):
        return {"trigger": "error_rate", "minutes": len(failing), **_sum(failing).to_json()}
    slow = minutes[: triggers.p95_minutes]
    if len(slow) == triggers.p95_minutes and all(
        # More than one in twenty is later: so is the 95th percentile.
        each.answers >= triggers.min_calls and each.slow * 20 > each.answers
        for each in slow
    ):
        return {"trigger": "p95", "minutes": len(slow), **_sum(slow).to_json()}
    return None


def summed(minutes: Sequence[Minute], triggers: Triggers) -> dict[str, Any]:
    """How a flag fares, for a person: errors and p95, each over the minutes of its trigger."""
    errors = _sum(minutes[: triggers.error_minutes]).to_json()
    p95 = _sum(minutes[: triggers.p95_minutes]).to_json()
    return {**errors, "p95_s": p95["p95_s"]}


def of_records(records: Sequence[Mapping[str, Any]], triggers: Triggers) -> Minute:
    """The same of records of the ledger."""
    minute = Minute()
    for record in records:
        category = record["error_category"]
        if record["outcome"] == Outcome.ABANDONED or (category and category not in FAULTS):
            continue
        first_ms = record["time_to_first_token_ms"] if record["stream"] else None
        first_s = None if first_ms is None else first_ms / 1_000
        has_left = record["outcome"] == Outcome.ABORTED
        took_s = waited_s(first_s, (record["duration_ms"] or 0) / 1_000, has_left, triggers)
        if took_s is not None:
            minute.add(bool(category), took_s, triggers)
    return minute


def is_well(minute: Minute, triggers: Triggers) -> bool | None:
    """Whether one user's calls stay within the triggers; None: there are too few to tell."""
    if minute.calls < LEAST_CALLS:
        return None
    has_failed = minute.errors * 100 > triggers.error_percent * minute.calls
    return not has_failed and minute.slow * 20 <= minute.answers


def _sum(minutes: Sequence[Minute]) -> Minute:
    return sum(minutes, Minute())
