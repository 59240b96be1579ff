"""The usage ledger: every call once, whatever is handed in and however often."""

import base64
import gc
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, event, select, text

from scalix_callbacks.core.errors import ErrorCategory
from scalix_callbacks.core.record import CallRecord, Outcome
from scalix_callbacks.core.routes import Endpoint
from scalix_callbacks.ledger.database import DatabaseError, connect, migrate, reading, writing
from scalix_callbacks.ledger.schema import usage_records, usage_rejects
from scalix_callbacks.ledger.usage_records import MAX_REJECT_CHARS, InvalidCursor, UsageRecords
from scalix_callbacks.ledger.usage_sums import Span, UsageSums
from tests.databases import plan_of
from tests.records import NOON, call_record

RECORD = call_record(
    client_request_id="app-7:attempt-2",
    cached_tokens=0,
    provider_cost_nano_usd=1_234_567,
    price_nano_usd=0,
    attempt=2,
    stream=True,
    windows={"requests:3600": 1_896_087_600_000},
)
EVERYTHING = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def records(migrated: Engine) -> UsageRecords:
    return UsageRecords(migrated)


def record(call_id: str, minute: int = 0, **changes: Any) -> dict[str, Any]:
    """`RECORD` under another id, so many minutes after noon."""
    return replace(RECORD, call_id=call_id, at=NOON + timedelta(minutes=minute), **changes).to_json()


def keep(records: UsageRecords, *kept: dict[str, Any], is_late: bool = False) -> int:
    return records.insert([(each, is_late) for each in kept])


def ids(records: UsageRecords, **asked: Any) -> list[str]:
    return [each["call_id"] for each in records.page(**asked)[0]]


def rejects(engine: Engine) -> list[Any]:
    with reading(engine) as connection:
        return list(connection.execute(select(usage_rejects).order_by(usage_rejects.c.reason)))


# What is kept


def test_a_record_comes_back_as_it_was(records: UsageRecords) -> None:
    """With money as exact decimal strings, and null for what is not known."""
    assert 1 == keep(records, RECORD.to_json())
    assert [
        {
            "call_id": "c1",
            "request_id": "r1",
            "client_request_id": "app-7:attempt-2",
            "at": "2030-01-31T12:00:00.000Z",
            "user_id": "ada",
            "tier": "pro",
            "endpoint": "chat",
            "model_requested": "gpt-4.1",
            "model_used": "gpt-4.1",
            "provider": "openai",
            "prompt_tokens": 12,
            "completion_tokens": 34,
            "cached_tokens": 0,
            "reasoning_tokens": None,
            "provider_cost_usd": "0.001234567",
            "price_usd": "0.000000",
            "requests_counted": 1,
            "outcome": "ok",
            "error_category": None,
            "duration_ms": 900,
            "time_to_first_token_ms": None,
            "attempt": 2,
            "stream": True,
            "estimated": False,
            "windows": {"requests:3600": 1_896_087_600_000},
        }
    ] == records.page()[0]


def test_the_table_has_the_fields_of_a_record(records: UsageRecords) -> None:
    """In the order of the specification; a field that is added to records fails here until it is kept."""
    keep(records, RECORD.to_json())

    assert list(RECORD.to_json()) == list(records.page()[0][0])


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=50)
COUNT = st.integers(0, 2**53 - 1)
RECORDS = st.builds(
    CallRecord,
    call_id=st.uuids().map(lambda each: each.hex),
    request_id=TEXT,
    client_request_id=st.none() | TEXT,
    at=st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)),
    user_id=TEXT,
    tier=st.none() | TEXT,
    endpoint=st.sampled_from(Endpoint),
    model_requested=TEXT,
    model_used=st.none() | TEXT,
    provider=st.none() | TEXT,
    prompt_tokens=st.none() | COUNT,
    completion_tokens=st.none() | COUNT,
    cached_tokens=st.none() | COUNT,
    reasoning_tokens=st.none() | COUNT,
    provider_cost_nano_usd=st.none() | COUNT,
    price_nano_usd=st.none() | COUNT,
    requests_counted=st.integers(0, 1),
    outcome=st.sampled_from(Outcome),
    error_category=st.none() | st.sampled_from(ErrorCategory),
    duration_ms=st.none() | COUNT,
    time_to_first_token_ms=st.none() | COUNT,
    attempt=st.integers(1, 3),
    stream=st.booleans(),
    estimated=st.booleans(),
    windows=st.dictionaries(TEXT, st.integers(0, 2**53), max_size=4),
)


@given(st.lists(RECORDS, min_size=1, max_size=5, unique_by=lambda each: each.call_id))
@EVERYTHING
def test_every_record_comes_back_as_it_was(migrated: Engine, made: list[CallRecord]) -> None:
    """Whatever text, amount or moment is in it, on both databases."""
    records = UsageRecords(migrated)
    with writing(migrated) as connection:
        connection.execute(delete(usage_records))
    expected = {each.call_id: each.to_json() for each in made}

    assert len(made) == keep(records, *expected.values())
    assert expected == {each["call_id"]: each for each in records.page()[0]}


# Once


def test_a_record_is_kept_once(records: UsageRecords) -> None:
    """Handed in again, by this worker or another, it changes nothing; the number says how many were new."""
    assert 2 == keep(records, record("a"), record("b"))
    assert 1 == keep(records, record("c"), record("a"), record("b", user_id="mallory"))
    assert 0 == keep(records, record("a"), record("b"), record("c"))
    assert ["a", "b", "c"] == ids(records)
    assert ["ada"] * 3 == [each["user_id"] for each in records.page()[0]]


def test_a_record_twice_in_one_batch_is_kept_once(records: UsageRecords) -> None:
    """An outbox may hold an entry twice."""
    assert 1 == keep(records, record("a"), record("a"))
    assert ["a"] == ids(records)


def test_nothing_to_keep_is_no_error(records: UsageRecords) -> None:
    """An empty batch keeps nothing."""
    assert 0 == records.insert([])


def test_batches_of_every_size_need_few_statements(records: UsageRecords, migrated: Engine) -> None:
    """A driver keeps every statement it prepared, and one with hundreds of rows is large."""
    statements = set[str]()
    event.listen(migrated, "before_cursor_execute", lambda *seen: statements.add(seen[2]))

    for size in range(1, 101):
        assert keep(records, *(record(f"{size}-{number}") for number in range(size))) == size

    assert len(statements) < 30


def test_questions_of_every_size_leave_few_statements(tmp_path: Path) -> None:
    """What a connection to SQLite has prepared for them has a bound."""
    engine = connect(f"sqlite:///{tmp_path / 'scalix.db'}")
    migrate(engine)
    before = statements_kept()

    for size in range(1, 101):
        assert len(UsageRecords(engine).missing([str(number) for number in range(size)])) == size

    assert statements_kept() - before < 40
    engine.dispose()


def statements_kept() -> int:
    """By all connections to SQLite of this process."""
    gc.collect()
    return sum(type(each).__name__ == "Statement" for each in gc.get_objects())


def test_workers_that_hand_in_the_same_keep_it_once(records: UsageRecords) -> None:
    """Eight at once, each in its own order; the numbers of new ones add up."""
    batch = [record(f"c{number:02}") for number in range(40)]
    gate = threading.Barrier(8)

    def work(number: int) -> int:
        gate.wait()
        return records.insert([(each, False) for each in batch[number:] + batch[:number]])

    with ThreadPoolExecutor(8) as threads:
        inserted = list(threads.map(work, range(0, 40, 5)))

    assert 40 == sum(inserted)
    assert [f"c{number:02}" for number in range(40)] == ids(records)


def test_a_late_record_takes_the_place_of_the_one_given_up(records: UsageRecords) -> None:
    """The call of a worker that only stalled is told as it really ended."""
    keep(records, record("a", outcome=Outcome.ABANDONED, completion_tokens=None), record("b"))

    assert 0 == keep(records, record("a", completion_tokens=7), is_late=True)
    assert [("ok", 7), ("ok", 34)] == [
        (each["outcome"], each["completion_tokens"]) for each in records.page()[0]
    ]


def test_the_one_given_up_does_not_come_back(records: UsageRecords) -> None:
    """Also when a slower worker hands it in again after the late one."""
    given_up, late = record("a", outcome=Outcome.ABANDONED), record("a")
    for batch in (
        [(given_up, False), (late, True)],
        [(late, True), (given_up, False)],
        [(given_up, False)],
        [(late, True)],
    ):
        records.insert(batch)

        assert [late] == records.page()[0]


@pytest.mark.parametrize("counts", [0, 1])
@pytest.mark.parametrize("order", [*permutations(range(3))])
def test_in_whatever_order_the_same_is_kept(
    migrated: Engine, records: UsageRecords, order: tuple[int, ...], counts: int
) -> None:
    """A call given up, as its worker hands it in itself, and as Redis then tells it; the sums go along."""
    given_up = record("a", outcome=Outcome.ABANDONED, requests_counted=0)
    versions = [(given_up, False), (record("a"), True), (record("a", requests_counted=counts), True)]
    inserted = sum(records.insert([versions[number]]) for number in (*order, *order))
    total = UsageSums(migrated).total(Span())

    assert [record("a", requests_counted=counts)] == records.page()[0]
    assert (1, 1, counts) == (inserted, total.ok, total.requests)


def test_a_late_record_without_one_given_up_is_new(records: UsageRecords) -> None:
    """What was given up may have been lost with Redis."""
    assert 1 == keep(records, record("a"), is_late=True)
    assert [record("a")] == records.page()[0]


# Bad records


BAD: list[tuple[dict[str, Any], str]] = [
    ({"call_id": None}, "call_id is no text."),
    ({"call_id": "x" * 65}, "call_id does not fit its column."),
    ({"user_id": "a\0b"}, "user_id does not fit its column."),
    ({"model_used": "\ud800"}, "model_used does not fit its column."),
    ({"provider": "x" * 10_001}, "provider does not fit its column."),
    ({"at": "yesterday"}, "at cannot be read."),
    ({"at": "2030-01-31T12:00:00"}, "at cannot be read."),
    ({"at": "0001-01-01T00:00:00+23:00"}, "An amount or a moment is beyond all bounds."),
    ({"prompt_tokens": 2**53}, "prompt_tokens does not fit its column."),
    ({"prompt_tokens": "12"}, "prompt_tokens is no count."),
    ({"attempt": 2**31}, "attempt does not fit its column."),
    ({"price_usd": "9007199.254740992"}, "price_nano_usd does not fit its column."),
    ({"price_usd": "1e99999"}, "price_nano_usd does not fit its column."),
    ({"price_usd": "1e999999"}, "An amount or a moment is beyond all bounds."),
    ({"price_usd": "0.0000000001"}, "price_usd cannot be read."),
    ({"windows": {"x" * 10_000: 1}}, "windows does not fit its column."),
    ({"windows": None}, "windows is no object of moments."),
    ({"outcome": "fine"}, "outcome cannot be read."),
]


@pytest.mark.parametrize(("changes", "reason"), BAD)
def test_a_bad_record_holds_up_no_other(
    records: UsageRecords,
    migrated: Engine,
    caplog: pytest.LogCaptureFixture,
    changes: dict[str, Any],
    reason: str,
) -> None:
    """It is set aside as it came, with the reason, and told in the log without what is in it."""
    bad = record("bad") | changes

    assert 2 == keep(records, record("a"), bad, record("b"))
    assert ["a", "b"] == ids(records)
    [reject] = rejects(migrated)
    assert (reason, False) == (reject.reason, reject.is_late)
    assert bad == json.loads(reject.record)
    [line] = caplog.messages
    assert f"A usage record could not be kept ({reason})" in line


def test_a_bad_record_is_set_aside_once(
    records: UsageRecords, migrated: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """However often the outbox hands it in; another bad one is another."""
    for _ in range(3):
        assert 0 == keep(records, {"call_id": "x"}, {"call_id": "x"})
    assert 0 == keep(records, {"call_id": "y"}, is_late=True)

    assert [False, True] == sorted(reject.is_late for reject in rejects(migrated))
    assert 2 == len(caplog.messages)


def test_what_is_set_aside_has_a_bound(records: UsageRecords, migrated: Engine) -> None:
    """A record of megabytes does not fill the disk."""
    keep(records, {"call_id": "x" * 1_000_000})
    [reject] = rejects(migrated)

    assert MAX_REJECT_CHARS == len(reject.record)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.dictionaries(st.sampled_from(list(RECORD.to_json())), JSON, max_size=4),
    st.dictionaries(st.text(), JSON, max_size=2),
    st.booleans(),
)
@EVERYTHING
def test_whatever_is_handed_in_is_kept_or_set_aside(
    migrated: Engine, changes: dict[str, Any], more: dict[str, Any], is_late: bool
) -> None:
    """Nothing that is JSON makes a batch fail, and nothing is lost."""
    with writing(migrated) as connection:
        connection.execute(delete(usage_records))
        connection.execute(delete(usage_rejects))
    records = UsageRecords(migrated)
    records.insert([(record("good"), False), (more | record("odd") | changes, is_late)])

    assert "good" in ids(records)
    assert 2 == len(ids(records)) + len(rejects(migrated))


@pytest.mark.parametrize("is_late", [False, True])
def test_a_row_the_database_refuses_holds_up_no_other(
    records: UsageRecords, migrated: Engine, is_late: bool
) -> None:
    """Also when only the database itself knows what is wrong with it."""
    with writing(migrated) as connection:
        connection.execute(text("CREATE UNIQUE INDEX one_tier ON usage_records (tier)"))

    assert 2 == keep(records, record("a"), record("b"), record("c", tier="free"), is_late=is_late)
    assert ["a", "c"] == ids(records)
    [reject] = rejects(migrated)
    assert ("IntegrityError", is_late) == (reject.reason, reject.is_late)
    assert record("b") == json.loads(reject.record)


def test_a_batch_is_kept_as_a_whole_or_not_at_all(records: UsageRecords, migrated: Engine) -> None:
    """When the database fails in the middle nothing of the batch is there, and it can be handed in again."""
    statements = 0

    def fail_at_the_third(*_: object) -> None:
        nonlocal statements
        statements += 1
        if statements == 3:
            raise DatabaseError("The database went away.")

    batch = [(record("a"), False), ({"call_id": "bad"}, False), (record("b"), True)]
    event.listen(migrated, "before_cursor_execute", fail_at_the_third)
    with pytest.raises(DatabaseError):
        records.insert(batch)
    event.remove(migrated, "before_cursor_execute", fail_at_the_third)

    assert ([], []) == (ids(records), rejects(migrated))
    assert 2 == records.insert(batch)


# Pages


def test_records_are_read_oldest_first(records: UsageRecords) -> None:
    """Those of one moment by their ids."""
    keep(records, record("c", 5), record("b", 0), record("a", 5), record("d", 1))

    assert ["b", "d", "a", "c"] == ids(records)


def test_pages_follow_each_other(records: UsageRecords) -> None:
    """Each begins behind the one before; the last one has no successor, also when it is full."""
    keep(records, *(record(f"c{number}", number // 2) for number in range(6)))
    first, to_second = records.page(limit=4)
    second, to_third = records.page(limit=4, cursor=to_second)

    assert [["c0", "c1", "c2", "c3"], ["c4", "c5"]] == [
        [each["call_id"] for each in page] for page in (first, second)
    ]
    assert (True, None) == (isinstance(to_second, str), to_third)
    assert records.page(limit=6)[1] is None
    assert ([], None) == records.page(user_id="nobody")


@given(st.lists(st.integers(0, 3), max_size=12), st.integers(1, 5), st.integers(0, 12))
@EVERYTHING
def test_a_reader_sees_each_record_once(
    migrated: Engine, minutes: list[int], limit: int, already: int
) -> None:
    """Whatever comes in while it turns the pages: what was there at the begin is read, nothing twice."""
    with writing(migrated) as connection:
        connection.execute(delete(usage_records))
    records = UsageRecords(migrated)
    made = [record(f"c{number:02}", minute) for number, minute in enumerate(minutes)]
    keep(records, *made[:already])
    coming, seen, cursor = made[already:], list[str](), None
    while True:
        page, cursor = records.page(limit=limit, cursor=cursor)
        seen += [each["call_id"] for each in page]
        if cursor is None:
            break
        if coming:
            keep(records, coming.pop())

    assert len(seen) == len({*seen})
    assert {each["call_id"] for each in made[:already]} <= {*seen}


def test_records_of_one_user_are_read_alone(records: UsageRecords) -> None:
    """Names are taken exactly."""
    keep(records, record("a"), record("b", user_id="Ada"), record("c", user_id="operator"))

    assert ["a"] == ids(records, user_id="ada")
    assert ["c"] == ids(records, user_id="operator")
    assert [] == ids(records, user_id="ad%")


def test_a_span_of_time_holds_its_begin_and_not_its_end(records: UsageRecords) -> None:
    """So that one day's last record is not the next day's first, too."""
    keep(records, *(record(f"c{minute}", minute) for minute in range(4)))
    first, third = NOON + timedelta(minutes=1), NOON + timedelta(minutes=3)

    assert ["c1", "c2"] == ids(records, since=first, until=third)
    assert ["c0"] == ids(records, until=first)
    assert ["c3"] == ids(records, since=third)


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        *("", "x", "é", "====", "A" * 5),
        encoded("nothing at all"),
        encoded("2030"),
        encoded("2030-01-31T12:00:00 c"),
        encoded("2030-01-31T12:00:00+00:00 "),
        encoded("2030-01-31T12:00:00+00:00 a\0b"),
        encoded("0001-01-01T00:00:00+23:00 c"),
    ],
)
def test_what_no_page_gave_is_no_cursor(records: UsageRecords, cursor: str) -> None:
    """Nonsense is told, not taken for the begin."""
    with pytest.raises(InvalidCursor):
        records.page(cursor=cursor)


@given(st.text())
@EVERYTHING
def test_any_text_is_a_cursor_or_is_told(migrated: Engine, cursor: str) -> None:
    """It comes from outside."""
    with suppress(InvalidCursor):
        UsageRecords(migrated).page(cursor=cursor)


@pytest.mark.parametrize("limit", [0, -1, 1_001])
def test_a_page_has_a_bound(records: UsageRecords, limit: int) -> None:
    """1 to 1,000."""
    with pytest.raises(ValueError, match="1 to 1000"):
        records.page(limit=limit)


@pytest.mark.parametrize("asked", [{}, {"user_id": "ada"}])
def test_a_page_is_found_by_an_index(migrated: Engine, asked: dict[str, Any]) -> None:
    """A page of a ledger of millions costs no more than one of thousands."""
    told = plan_of(migrated, lambda: UsageRecords(migrated).page(**asked, since=NOON, limit=1))

    assert ("ix_usage_records_user_id" if asked else "ix_usage_records_at") in told
    assert "TEMP B-TREE" not in told and "Sort" not in told
