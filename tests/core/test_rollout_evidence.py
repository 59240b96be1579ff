"""When what calls show is enough to take a flag back, and when it is not."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalix_callbacks.core.errors import ErrorCategory
from scalix_callbacks.core.rollout_evidence import (
    FAULTS,
    Minute,
    Triggers,
    fired,
    is_well,
    of_records,
    summed,
)

TRIGGERS = Triggers()
FINE = Minute(calls=100, errors=10, buckets={3: 90})
"""Exactly 10 %, which is not above."""
FAILING = Minute(calls=100, errors=11, buckets={3: 89})
SLOW = Minute(calls=100, slow=6, buckets={3: 94, 6: 6})
NONE = Minute()
FEW = Minute(calls=19, errors=19)


def minute(*took_s: float, faults: int = 0) -> Minute:
    made = Minute()
    for each in took_s:
        made.add(False, each, TRIGGERS)
    for _ in range(faults):
        made.add(True, 0.0, TRIGGERS)
    return made


@pytest.mark.parametrize(
    ("minutes", "trigger"),
    [
        ([FAILING] * 5 + [FINE] * 5, "error_rate"),
        ([FAILING] * 4 + [FINE] * 6, None),
        ([FINE] + [FAILING] * 9, None),
        ([FAILING] * 4 + [NONE] + [FAILING] * 5, None),
        ([FAILING] * 4 + [FEW] + [FAILING] * 5, None),
        ([FEW] * 10, None),
        ([SLOW] * 10, "p95"),
        ([SLOW] * 9 + [FINE], None),
        ([SLOW] * 9, None),
        ([NONE] * 10, None),
        ([], None),
    ],
)
def test_every_minute_has_to_show_it(minutes: list[Minute], trigger: str | None) -> None:
    """Five in a row for errors, ten for slowness; a minute with too few calls is no evidence."""
    reason = fired(minutes, TRIGGERS)

    assert trigger == (None if reason is None else reason["trigger"])


def test_the_reason_holds_the_numbers() -> None:
    """Of all minutes that made it."""
    assert {
        "trigger": "error_rate",
        "minutes": 5,
        "calls": 500,
        "errors": 55,
        "error_percent": 11.0,
        "p95_s": 2.0,
    } == fired([FAILING] * 10, TRIGGERS)


def test_ten_seconds_are_not_above_ten_seconds() -> None:
    """And one slow answer in twenty is not the 95th percentile."""
    assert [0, 1] == [minute(10.0).slow, minute(10.001).slow]
    one_of_twenty = minute(*[1.0] * 19, 11.0)
    assert fired([one_of_twenty] * 10, TRIGGERS) is None
    assert fired([one_of_twenty + minute(11.0)] * 10, TRIGGERS) is not None


def test_failures_are_not_answers() -> None:
    """A call that failed at once makes nothing look quick."""
    slow = minute(*[11.0] * 20, faults=1)

    assert (21, 20, 20, 20.0) == (slow.calls, slow.answers, slow.slow, slow.p95_s)
    few = replace(TRIGGERS, error_percent=100)
    assert fired([minute(*[11.0] * 19, faults=5)] * 10, few) is None


@pytest.mark.parametrize(
    ("took_s", "p95_s"),
    [([], None), ([0.1], 0.25), ([0.25] * 19 + [9], 0.25), ([0.25] * 18 + [9, 9], 10.0), ([500], 120.0)],
)
def test_a_percentile_is_that_of_its_bucket(took_s: list[float], p95_s: float | None) -> None:
    """Its upper bound; beyond the last there is none better."""
    assert p95_s == minute(*took_s).p95_s


minutes = st.builds(minute, faults=st.integers(0, 5)) | st.lists(st.floats(0, 200), max_size=20).map(
    lambda took: minute(*took)
)


@given(minutes, minutes)
def test_what_is_stored_can_be_summed_up(one: Minute, other: Minute) -> None:
    """Field by field, as Redis does it."""
    fields: dict[str, int] = {}
    for each in (one, other):
        for name, count in each.to_fields().items():
            fields[name] = fields.get(name, 0) + count

    assert one + other == Minute.of_fields(fields)


def test_only_our_faults_and_the_providers_count() -> None:
    """A user's own mistakes, limits and hang-ups take nothing back."""
    assert {
        ErrorCategory.INVALID_REQUEST,
        ErrorCategory.RATE_LIMIT_EXCEEDED,
        ErrorCategory.BUDGET_EXCEEDED,
        ErrorCategory.CLIENT_CLOSED,
        ErrorCategory.CONTENT_POLICY,
        ErrorCategory.OVERLOADED,
    }.isdisjoint(FAULTS)
    assert {
        "MODEL_UNAVAILABLE",
        "NETWORK_ERROR",
        "PROVIDER_AUTH",
        "PROVIDER_ERROR",
        "PROVIDER_RATE_LIMITED",
        "PROVIDER_TIMEOUT",
        "SERVICE_UNAVAILABLE",
        "INTERNAL",
    } == {category.value for category in FAULTS}


def record(outcome: str = "ok", category: str | None = None, **fields: Any) -> dict[str, Any]:
    return {
        "outcome": outcome,
        "error_category": category,
        "stream": False,
        "duration_ms": 1_500,
        "time_to_first_token_ms": None,
        **fields,
    }


def test_records_tell_the_same() -> None:
    """A stream by its first token; what shows nothing is left out."""
    found = of_records(
        [
            record(),
            record(stream=True, duration_ms=60_000, time_to_first_token_ms=400),
            record("error", "PROVIDER_ERROR"),
            record("error", "INVALID_REQUEST"),
            record("error", "OVERLOADED"),
            record("aborted"),
            record("aborted", stream=True, time_to_first_token_ms=400),
            record("aborted", duration_ms=10_001),
            record("abandoned"),
        ],
        TRIGGERS,
    )

    assert (5, 1, 1, 20.0) == (found.calls, found.errors, found.slow, found.p95_s)


@pytest.mark.parametrize(
    ("found", "well"),
    [(minute(*[1.0] * 4), None), (minute(*[1.0] * 5), True), (minute(*[1.0] * 5, faults=1), False)],
)
def test_few_calls_tell_nothing_of_a_user(found: Minute, well: bool | None) -> None:
    """Five do."""
    assert well is is_well(found, TRIGGERS)


def test_the_page_tells_each_figure_over_its_own_minutes() -> None:
    """Errors of five, slowness of ten."""
    told = summed([FINE] * 5 + [Minute(calls=100, slow=100, buckets={8: 100})] * 5, TRIGGERS)

    assert {"calls": 500, "errors": 50, "error_percent": 10.0, "p95_s": 60.0} == told
