"""What the status page reads of the ledger."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from scalix_callbacks.core.recent_calls import RecentCall
from scalix_callbacks.ledger.database import DatabaseError, connect
from scalix_callbacks.ledger.recent_calls import RecentCalls
from scalix_callbacks.ledger.usage_records import UsageRecords
from scalix_callbacks.ledger.usage_sums import Group, Span, UsageSums
from tests.databases import make_tables
from tests.web.used import NOON, RECORD, RECORDS, break_database


@pytest.fixture
def ledger(database_url: str) -> Iterator[Engine]:
    engine = connect(database_url)
    make_tables(engine)
    UsageRecords(engine).insert([(each.to_json(), False) for each in RECORDS])
    yield engine
    engine.dispose()


def test_the_newest_calls_come_first(ledger: Engine) -> None:
    """As many as are asked for, none from before; where no model answered, the one that was asked for."""
    recent = RecentCalls(ledger)
    found = recent.read(NOON + timedelta(minutes=1), 3)

    assert ["r3", "r4", "r2"] == [call.request_id for call in found]
    assert (
        RecentCall(
            "r3",
            "ada",
            (NOON + timedelta(days=1, minutes=1)).timestamp(),
            "gpt-4.1",
            "pro",
            "error",
            "PROVIDER_ERROR",
            1_000,
            None,
        )
        == found[0]
    )
    assert 4 == len(recent.read(NOON + timedelta(minutes=1), 100))


def test_the_busiest_come_first(ledger: Engine) -> None:
    """As many as are asked for, of the days and the user that are asked for; equal ones by name."""
    sums, all_days = UsageSums(ledger), Span()
    UsageRecords(ledger).insert([(replace(RECORD, call_id="c9", user_id="abe").to_json(), False)])
    first_day = Span(NOON.date(), NOON.date())

    assert [("ada", 4), ("abe", 1)] == [
        (row.group["user"], row.sums.calls) for row in sums.most(all_days, Group.USER, 2)
    ]
    assert [("ada", 2), ("abe", 1)] == [
        (row.group["user"], row.sums.calls) for row in sums.most(first_day, Group.USER, 5)
    ]
    assert [(None, 3), ("PROVIDER_ERROR", 1)] == [
        (row.group["category"], row.sums.calls) for row in sums.most(Span(user_id="ada"), Group.CATEGORY, 5)
    ]


def test_a_broken_database_is_one_error(tmp_path: Path) -> None:
    """The page shows its sentence."""
    engine = connect(f"sqlite:///{tmp_path / 'scalix.db'}")
    make_tables(engine)
    engine.dispose()
    break_database(tmp_path)

    with pytest.raises(DatabaseError):
        RecentCalls(engine).read(NOON, 1)
    with pytest.raises(DatabaseError):
        UsageSums(engine).most(Span(), Group.USER, 1)
    engine.dispose()
