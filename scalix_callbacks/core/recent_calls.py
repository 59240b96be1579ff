"""What the newest calls show: traffic over time, and how long models take."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from scalix_callbacks.core.moments import iso_of
from scalix_callbacks.core.rollout_evidence import FAULTS

BUCKETS = 30
SLOW_MS = 10_000
LATELY_S = 600.0
"""What is wrong is judged by so much time: what went by within the hour is no alarm any more."""
FAILURES = 10
"""The newest ones that are told one by one."""


@dataclass(frozen=True, slots=True)
class RecentCall:
    """Of a record what the status page needs. `at_s` is Unix time; None: not known."""

    request_id: str
    user_id: str
    at_s: float
    model: str
    tier: str | None
    outcome: str
    category: str | None
    duration_ms: int | None
    first_token_ms: int | None

    @property
    def is_failed(self) -> bool:
        """The client's own hang-up is no failure; a worker that died in the middle is one."""
        return self.outcome in ("error", "abandoned")

    @property
    def is_fault(self) -> bool:
        """Failed by our fault or the provider's: a user's own mistakes need no operator."""
        return self.is_failed and (self.category is None or self.category in FAULTS)

    @property
    def is_slow(self) -> bool:
        """Its client waited long: for the first piece of a stream, for the whole of another answer."""
        waited_ms = self.duration_ms if self.first_token_ms is None else self.first_token_ms
        return self.outcome == "ok" and (waited_ms or 0) > SLOW_MS


def summary(calls: Sequence[RecentCall], *, since_s: float, now_s: float, is_cut: bool) -> dict[str, Any]:
    """JSON of calls from `since_s` to `now_s`, newest first.

    Args:
        is_cut: there were more; then it is told from the oldest of these on.
    """
    from_s = max(calls[-1].at_s if is_cut and calls else since_s, since_s)
    span_s = max(now_s - from_s, 1.0)
    return {
        "from": iso_of(from_s),
        "to": iso_of(now_s),
        "is_cut": is_cut,
        "calls": len(calls),
        "failed": sum(call.is_failed for call in calls),
        "lately": _lately([call for call in calls if call.at_s >= now_s - LATELY_S], min(span_s, LATELY_S)),
        "traffic": _traffic(calls, from_s, span_s),
        "latency_ms": _quantiles(call.duration_ms for call in calls if call.outcome == "ok"),
        "first_token_ms": _quantiles(call.first_token_ms for call in calls if call.outcome == "ok"),
        "models": _by_model(calls),
        "failures": [_failure(call) for call in calls if call.is_failed][:FAILURES],
    }


def _lately(calls: Sequence[RecentCall], span_s: float) -> dict[str, Any]:
    """`failed`: by our fault or a provider's. `worst`, `slowest`: the model with the most; None: none."""
    failed = Counter(call.model for call in calls if call.is_fault)
    slow = Counter(call.model for call in calls if call.is_slow)
    return {
        "minutes": round(LATELY_S / 60),
        "calls": len(calls),
        "calls_per_min": round(len(calls) * 60 / span_s, 2),
        "failed": failed.total(),
        "worst": failed.most_common(1)[0][0] if failed else None,
        "answered": sum(call.outcome == "ok" for call in calls),
        "slow": slow.total(),
        "slowest": slow.most_common(1)[0][0] if slow else None,
    }


def _traffic(calls: Sequence[RecentCall], from_s: float, span_s: float) -> dict[str, Any]:
    """Numbers of calls in equal parts of the time, the oldest first."""
    well, failed = [0] * BUCKETS, [0] * BUCKETS
    for call in calls:
        at = min(max(int((call.at_s - from_s) / span_s * BUCKETS), 0), BUCKETS - 1)
        (failed if call.is_failed else well)[at] += 1
    return {"bucket_s": round(span_s / BUCKETS, 3), "well": well, "failed": failed}


def _by_model(calls: Sequence[RecentCall]) -> dict[str, Any]:
    groups: dict[str, list[RecentCall]] = defaultdict(list)
    for call in calls:
        groups[call.model].append(call)
    return {
        model: {
            "calls": len(group),
            "failed": sum(call.is_failed for call in group),
            "latency_ms": _quantiles(call.duration_ms for call in group if call.outcome == "ok"),
            "first_token_ms": _quantiles(call.first_token_ms for call in group if call.outcome == "ok"),
            "last_at": iso_of(max(call.at_s for call in group)),
        }
        for model, group in groups.items()
    }


def _quantiles(values: Iterable[int | None]) -> dict[str, int | None]:
    """The nearest rank: a value that really occurred. None: there is none."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return {"p50": None, "p95": None}
    return {name: known[-(-len(known) * part // 100) - 1] for name, part in (("p50", 50), ("p95", 95))}


def _failure(call: RecentCall) -> dict[str, Any]:
    return {
        "request_id": call.request_id,
        "user_id": call.user_id,
        "at": iso_of(call.at_s),
        "model": call.model,
        "category": call.category or call.outcome.upper(),
    }
