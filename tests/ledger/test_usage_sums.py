"""The sums of usage records: always those of the records, told apart as asked."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import fields, replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, select, text, update

from scalix_callbacks.core.errors import ErrorCategory
from scalix_callbacks.core.record import CallRecord, Outcome
from scalix_callbacks.core.usage_sums import Sums
from scalix_callbacks.ledger.database import reading, writing
from scalix_callbacks.ledger.schema import usage_daily, usage_records
from scalix_callbacks.ledger.usage_records import InvalidCursor, UsageRecords
from scalix_callbacks.ledger.usage_rollup import KEY, move_user
from scalix_callbacks.ledger.usage_sums import Group, Span, UsageSums
from tests.databases import plan_of
from tests.records import NOON, call_record

RECORD = call_record(cached_tokens=2)
EVERYTHING = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
ALL = Span()


@pytest.fixture
def records(migrated: Engine) -> UsageRecords:
    return UsageRecords(migrated)


@pytest.fixture
def sums(migrated: Engine) -> UsageSums:
    return UsageSums(migrated)


def keep(records: UsageRecords, *kept: CallRecord, is_late: bool = False) -> int:
    return records.insert([(each.to_json(), is_late) for each in kept])


def record(call_id: str, days: int = 0, **changes: Any) -> CallRecord:
    return replace(RECORD, call_id=call_id, at=NOON + timedelta(days=days), **changes)


def told(sums: UsageSums, *by: Group, span: Span = ALL, **asked: Any) -> list[tuple[Any, ...]]:
    """The groups of each row, and how many calls are in it."""
    rows, _ = sums.page(span, by, **asked)
    return [(*row.group.values(), row.sums.calls) for row in rows]


def counted_anew(engine: Engine) -> dict[tuple[Any, ...], tuple[int, int, int, int]]:
    """What the sums must be, from the records themselves."""
    expected: dict[tuple[Any, ...], tuple[int, int, int, int]] = {}
    with reading(engine) as connection:
        for row in connection.execute(select(usage_records)):
            key = (row.at.date(), row.user_id, row.tier, row.model_requested, row.model_used, row.outcome)
            calls, tokens, price, unknown = expected.get((*key, row.error_category), (0, 0, 0, 0))
            expected[(*key, row.error_category)] = (
                calls + 1,
                tokens + (row.prompt_tokens or 0) + (row.completion_tokens or 0),
                price + (row.price_nano_usd or 0),
                unknown + (row.price_nano_usd is None),
            )
    return expected


def kept_sums(engine: Engine) -> dict[tuple[Any, ...], tuple[int, int, int, int]]:
    with reading(engine) as connection:
        rows = connection.execute(select(usage_daily)).all()
    return {
        tuple(getattr(row, name) for name in KEY): (
            row.calls,
            row.prompt_tokens + row.completion_tokens,
            row.price_nano_usd,
            row.price_unknown_calls,
        )
        for row in rows
    }


def test_nothing_comes_to_nothing(sums: UsageSums) -> None:
    """Of a ledger without records every sum is 0, and no group has a row."""
    assert Sums() == sums.total(ALL)
    assert [] == told(sums, Group.DAY)
    assert [] == sums.users(ALL, 10)


def test_what_is_known_is_summed_and_what_is_not_is_counted(records: UsageRecords, sums: UsageSums) -> None:
    """A price nobody knows is no price of 0."""
    keep(
        records,
        record("a"),
        record("b", model_used="gpt-4", price_nano_usd=None, duration_ms=None),
        record(
            "c",
            **dict.fromkeys(("model_used", "prompt_tokens", "completion_tokens", "cached_tokens")),
            price_nano_usd=None,
            provider_cost_nano_usd=None,
            requests_counted=0,
            outcome=Outcome.ERROR,
            error_category=ErrorCategory.INTERNAL,
        ),
    )

    assert Sums(
        calls=3,
        requests=2,
        ok=2,
        error=1,
        prompt_tokens=24,
        completion_tokens=68,
        cached_tokens=4,
        price_nano_usd=2_000,
        price_unknown_calls=2,
        priced_tokens=46,
        provider_cost_nano_usd=2_000,
        provider_cost_unknown_calls=1,
        own_model=1,
        fallbacks=1,
        ok_duration_ms=900,
        ok_timed=1,
    ) == sums.total(ALL)


def test_they_are_told_apart_as_asked(records: UsageRecords, sums: UsageSums) -> None:
    """By day, account, tier, model and category; what has none comes first, as null."""
    keep(
        records,
        record("a"),
        record("b", days=1, user_id="bob", tier="free", model_used=None, outcome=Outcome.ABORTED),
        record("c", days=1, tier=None, user_id="operator", model_used="gpt-4"),
        record("d", outcome=Outcome.ERROR, error_category=ErrorCategory.PROVIDER_ERROR),
    )

    assert [("2030-01-31", 2), ("2030-02-01", 2)] == told(sums, Group.DAY)
    assert [("ada", 2), ("bob", 1), ("operator", 1)] == told(sums, Group.USER)
    assert [(None, 1), ("free", 1), ("pro", 2)] == told(sums, Group.TIER)
    assert [("gpt-4", 1), ("gpt-4.1", 3)] == told(sums, Group.MODEL)
    assert [("gpt-4.1", 4)] == told(sums, Group.MODEL_REQUESTED)
    assert [(None, 3), ("PROVIDER_ERROR", 1)] == told(sums, Group.CATEGORY)
    assert [("aborted", 1), ("error", 1), ("ok", 2)] == told(sums, Group.OUTCOME)
    assert [("2030-01-31", "ada", 2), ("2030-02-01", "bob", 1), ("2030-02-01", "operator", 1)] == told(
        sums, Group.DAY, Group.USER
    )


def test_a_span_holds_both_of_its_days(records: UsageRecords, sums: UsageSums) -> None:
    """And may be of one account, tier or model."""
    keep(records, *(record(f"c{day}", days=day, user_id=f"u{day % 2}") for day in range(4)))

    def of(**span: Any) -> int:
        return sums.total(Span(**span)).calls

    assert (2, 3, 4) == (
        of(first=date(2030, 2, 1), last=date(2030, 2, 2)),
        of(last=date(2030, 2, 2)),
        of(),
    )
    assert (2, 0) == (of(user_id="u1"), of(user_id="U1"))
    assert (4, 0) == (of(tier="pro"), of(tier="free"))
    assert (4, 0) == (of(model="gpt-4.1"), of(model="gpt"))
    assert ["u0", "u1"] == sums.users(ALL, 10)
    assert ["u1"] == sums.users(ALL, 10, after="u0")


@pytest.mark.parametrize("by", [(Group.DAY, Group.TIER), (Group.CATEGORY, Group.USER)])
def test_pages_follow_each_other(records: UsageRecords, sums: UsageSums, by: Sequence[Group]) -> None:
    """Every row is on one page, also one whose group is null."""
    tiers = (None, "free", "pro")
    keep(records, *(record(f"c{n}", days=n, tier=tiers[n % 3], user_id=f"u{n}") for n in range(7)))
    seen, cursor = list[Any](), None
    while True:
        rows, cursor = sums.page(ALL, by, limit=2, cursor=cursor)
        seen += [tuple(row.group.values()) for row in rows]
        if cursor is None:
            break

    assert [row[:-1] for row in told(sums, *by)] == seen
    assert 7 == len(seen)


@pytest.mark.parametrize("cursor", ["", "x", "é", "====", "WyIyMDMwIl0", "WyJ4IiwieSJd", "W1tdXQ"])
def test_what_no_page_gave_is_no_cursor(sums: UsageSums, cursor: str) -> None:
    """Nonsense is told, also the cursor of a page with other groups."""
    with pytest.raises(InvalidCursor):
        sums.page(ALL, (Group.DAY,), cursor=cursor)


@given(st.text(), st.sampled_from([(Group.DAY,), (Group.USER, Group.TIER), ()]))
@EVERYTHING
def test_any_text_is_a_cursor_or_is_told(migrated: Engine, cursor: str, by: Sequence[Group]) -> None:
    """It comes from outside."""
    with suppress(InvalidCursor):
        UsageSums(migrated).page(ALL, by, cursor=cursor)


@pytest.mark.parametrize("limit", [0, 1_001])
def test_a_page_has_a_bound(sums: UsageSums, limit: int) -> None:
    """1 to 1,000."""
    with pytest.raises(ValueError, match="1 to 1000"):
        sums.page(ALL, (), limit=limit)


# Always those of the records


SMALL = st.builds(
    lambda **changes: changes,
    days=st.integers(0, 1),
    user_id=st.sampled_from(["ada", "bob"]),
    tier=st.sampled_from([None, "", "free"]),
    model_used=st.sampled_from([None, "gpt-4", "x" * 5_000]),
    prompt_tokens=st.none() | st.integers(0, 9),
    price_nano_usd=st.none() | st.integers(0, 2**53 - 1),
    outcome=st.sampled_from([Outcome.OK, Outcome.ABANDONED]),
    error_category=st.sampled_from([None, ErrorCategory.INTERNAL]),
)
BATCH = st.lists(st.tuples(st.sampled_from("abcdef"), SMALL, st.booleans()), max_size=6)


@given(st.lists(BATCH, max_size=4))
@EVERYTHING
def test_the_sums_are_those_of_the_records(migrated: Engine, batches: list[Any]) -> None:
    """Whatever is handed in, twice or late or for a call given up: model by model, to the nano-dollar."""
    with writing(migrated) as connection:
        connection.execute(delete(usage_records))
        connection.execute(delete(usage_daily))
    for batch in batches:
        UsageRecords(migrated).insert(
            [(record(call_id, **changes).to_json(), is_late) for call_id, changes, is_late in batch]
        )

    assert counted_anew(migrated) == kept_sums(migrated)


def test_a_late_record_changes_them_by_the_difference(
    records: UsageRecords, sums: UsageSums, migrated: Engine
) -> None:
    """And what was given up leaves no empty row."""
    keep(records, record("a", outcome=Outcome.ABANDONED, completion_tokens=None, price_nano_usd=None))
    for _ in range(2):  # handed in again it changes nothing
        keep(records, record("a"), is_late=True)
    total = sums.total(ALL)

    assert (1, 1, 0, 46, 2_000, 0) == (
        total.calls,
        total.ok,
        total.abandoned,
        total.total_tokens,
        total.price_nano_usd,
        total.price_unknown_calls,
    )
    assert [("ok", 1)] == told(sums, Group.OUTCOME)
    assert 1 == len(kept_sums(migrated))


def test_workers_that_hand_in_the_same_are_summed_once(
    records: UsageRecords, migrated: Engine, sums: UsageSums
) -> None:
    """Six at once, half of them late ones, each in its own order."""
    batch = [record(f"c{number:02}", days=number % 3, user_id=f"u{number % 2}") for number in range(30)]
    keep(records, *(replace(each, outcome=Outcome.ABANDONED) for each in batch[::3]))

    def work(number: int) -> int:
        return keep(records, *batch[number:], *batch[:number], is_late=bool(number % 2))

    with ThreadPoolExecutor(6) as threads:
        inserted = list(threads.map(work, range(0, 30, 5)))

    assert 20 == sum(inserted)
    assert 30 == sums.total(ALL).calls
    assert counted_anew(migrated) == kept_sums(migrated)


def test_a_record_that_is_refused_is_not_summed(
    records: UsageRecords, sums: UsageSums, migrated: Engine
) -> None:
    """Neither one that cannot be read, nor one the database itself refuses."""
    with writing(migrated) as connection:
        connection.execute(text("CREATE UNIQUE INDEX one_tier ON usage_records (tier)"))
    keep(records, record("a"), record("b"))
    records.insert([({"call_id": "x"}, False)])

    assert 1 == sums.total(ALL).calls
    assert counted_anew(migrated) == kept_sums(migrated)


def test_an_account_can_be_renamed(records: UsageRecords, sums: UsageSums, migrated: Engine) -> None:
    """Its sums go with its records, and join those that are there under the new name."""
    keep(records, record("a"), record("b", user_id="gone"), record("c", days=1))
    with writing(migrated) as connection:
        connection.execute(
            update(usage_records).where(usage_records.c.user_id == "ada").values(user_id="gone")
        )
        move_user(connection, "ada", "gone")

    assert [("gone", 3)] == told(sums, Group.USER)
    assert counted_anew(migrated) == kept_sums(migrated)


def test_each_sum_has_its_column(sums: UsageSums) -> None:
    """A field that is added to `Sums` is read from somewhere."""
    assert [0] * len(fields(Sums)) == [getattr(sums.total(ALL), each.name) for each in fields(Sums)]


@pytest.mark.parametrize(
    ("span", "index"),
    [
        (Span(first=date(2030, 1, 1), last=date(2030, 1, 31), user_id="ada"), "ix_usage_daily_user_id"),
        (Span(first=date(2030, 1, 1), last=date(2030, 1, 31)), "ix_usage_daily_day"),
    ],
)
def test_sums_are_found_by_an_index(migrated: Engine, span: Span, index: str) -> None:
    """A month costs the same in the first year and in the tenth."""
    told = plan_of(migrated, lambda: UsageSums(migrated).total(span))

    assert index in told
