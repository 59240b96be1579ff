"""Old records go, in small batches; what they added up to stays in the audit log."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine

from scalix_callbacks.ledger.audit import AuditLog
from scalix_callbacks.ledger.retention import Retention
from scalix_callbacks.ledger.usage_records import UsageRecords
from tests.ledger.conftest import Clock
from tests.web.test_ledger import RECORD


def fill(engine: Engine, clock: Clock) -> UsageRecords:
    """One record for each of the last ten days."""
    records = UsageRecords(engine)
    of_day = [
        replace(
            RECORD,
            call_id=f"c{i}",
            at=clock() - timedelta(days=i),
            prompt_tokens=i,
            price_nano_usd=i,
            provider_cost_nano_usd=0,
        )
        for i in range(10)
    ]
    records.insert([(each.to_json(), False) for each in of_day])
    return records


def test_what_is_too_old_goes(migrated: Engine, clock: Clock) -> None:
    """The oldest first; the log says how much it was, exactly."""
    records = fill(migrated, clock)
    retention = Retention(migrated, 6, now=clock)
    removed = [retention.clean(2), retention.clean(2), retention.clean(2)]
    entries, _ = AuditLog(migrated).page()

    assert [2, 1, 0] == removed
    assert [f"c{i}" for i in range(6, -1, -1)] == [each["call_id"] for each in records.page()[0]]
    assert [("system", "retention.clean", None)] * 2 == [
        (entry["actor"], entry["action"], entry["user_id"]) for entry in entries
    ]
    assert [
        {
            "before": "2030-01-25T12:00:00.123456Z",
            "records": count,
            "prompt_tokens": tokens,
            "completion_tokens": 0,
            "requests_counted": count,
            "provider_cost_usd": "0.000000",
            "price_usd": price,
        }
        for count, tokens, price in ((1, 7, "0.000000007"), (2, 17, "0.000000017"))
    ] == [entry["details"] for entry in entries]


def test_without_a_limit_everything_is_kept(migrated: Engine, clock: Clock) -> None:
    """However old it is."""
    records = fill(migrated, clock)

    assert 0 == Retention(migrated, None, now=clock).clean()
    assert 10 == len(records.page()[0])


def test_records_that_could_not_be_kept_go_too(migrated: Engine) -> None:
    """At the same age; the log says how many."""
    now = datetime.now(UTC)
    UsageRecords(migrated).insert([({"call_id": "c0", "user_id": "ada"}, False)])
    removed = []
    for days in (30, 32, 33):
        later = now + timedelta(days=days)
        removed.append(Retention(migrated, 31, now=lambda later=later: later).clean())
    entries, _ = AuditLog(migrated).page()

    assert [0, 1, 0] == removed
    assert [(0, 1)] == [(entry["details"]["records"], entry["details"]["rejects"]) for entry in entries]
