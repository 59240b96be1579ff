"""What the page says is wrong."""

from typing import Any

import pytest

from scalix_callbacks.core.findings import Severity, findings

LATELY: dict[str, Any] = {
    **{"minutes": 10, "calls": 100, "failed": 9, "worst": "flash"},
    **{"answered": 80, "slow": 4, "slowest": "pro"},
}
HEALTH: dict[str, Any] = {
    "proxy": {"status": "ok"},
    "redis": {"status": "ok"},
    "database": {"status": "ok"},
    "outbox": {"status": "ok", "pending_records": 3},
    "providers": {"status": "ok"},
}


def test_a_healthy_gateway_needs_nobody() -> None:
    """Nor does one without Redis by decision, or one whose calls mostly go well."""
    assert [] == findings(HEALTH, {"lately": LATELY}, workers=2, workers_set=2)
    assert [] == findings({**HEALTH, "redis": {"status": "not configured"}}, None)


@pytest.mark.parametrize(
    ("part", "status", "word", "severity"),
    [
        ("redis", "down", "Redis", Severity.BAD),
        ("database", "degraded", "database", Severity.BAD),
        ("database", "down", "database", Severity.BAD),
        ("providers", "down", "credentials", Severity.BAD),
        ("proxy", "stopping", "stopping", Severity.BAD),
        ("outbox", "degraded", "ledger", Severity.WARNING),
    ],
)
def test_each_part_that_is_ill_is_a_finding(part: str, status: str, word: str, severity: Severity) -> None:
    """With what is wrong and what to do."""
    (found,) = findings({**HEALTH, part: {**HEALTH[part], "status": status}}, None)

    assert severity is found.severity
    assert word in found.text and found.mend.endswith(".")


@pytest.mark.parametrize(
    ("calls", "failed", "expected"),
    [(9, 9, []), (10, 0, []), (100, 24, [Severity.WARNING]), (100, 25, [Severity.BAD])],
)
def test_failures_are_told_as_a_share(calls: int, failed: int, expected: list[Severity]) -> None:
    """From ten calls on, with the model most of them were of."""
    found = findings(HEALTH, {"lately": {**LATELY, "calls": calls, "failed": failed}})

    assert expected == [each.severity for each in found]
    assert all("most of them at flash." in each.text for each in found)


@pytest.mark.parametrize(("answered", "slow", "count"), [(9, 9, 0), (80, 4, 0), (80, 5, 1)])
def test_slow_answers_are_told(answered: int, slow: int, count: int) -> None:
    """When more than one in twenty came late, from ten answers on."""
    found = findings(HEALTH, {"lately": {**LATELY, "answered": answered, "slow": slow}})

    assert [Severity.WARNING] * count == [each.severity for each in found]
    assert all("began only after 10 s or more, most of them at pro." in each.text for each in found)


def test_one_cause_is_one_finding() -> None:
    """Records wait in Redis; while it is away nobody is sent to look at the database."""
    outbox = {"status": "degraded", "pending_records": 0}
    (found,) = findings({**HEALTH, "redis": {"status": "down"}, "outbox": outbox}, None)

    assert found.text.startswith("Redis does not answer")


def test_what_is_not_known_is_not_called_zero() -> None:
    """One server of a Redis Cluster may be away, and what waits there cannot be counted."""
    outbox = {"status": "degraded", "pending_records": None}
    (found,) = findings({**HEALTH, "outbox": outbox}, None)

    assert found.text.endswith("how many wait is not known.")


def test_the_worst_comes_first() -> None:
    """Whatever the order in which it was found; long lists of models are cut."""
    found = findings(
        {**HEALTH, "database": {"status": "down"}, "outbox": {"status": "ok", "pending_records": 1_001}},
        None,
        down=[f"m{i}" for i in range(7)],
        resting=["m1"],
        workers=1,
        workers_set=2,
    )

    assert [Severity.BAD, *[Severity.WARNING] * 4] == [each.severity for each in found]
    assert "m0, m1, m2, m3, m4 and 2 more" in found[3].text
    assert "1 of 2 workers" in found[2].text


def test_a_flag_that_went_off_is_told() -> None:
    """Until it is resumed, or killed for good."""
    (found,) = findings(HEALTH, None, rolled_back=["liteLLM"])

    assert (Severity.WARNING, True) == (found.severity, "liteLLM" in found.text)
    assert "resume" in found.mend


def test_calls_that_wait_are_overload() -> None:
    """Somebody should add workers."""
    (found,) = findings(HEALTH, None, waiting_calls=1_200)

    assert (Severity.WARNING, True) == (found.severity, "1,200 calls wait" in found.text)
