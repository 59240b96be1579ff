"""The operator's view of what was recorded, and of what is on its way."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from scalix_callbacks.core.errors import ErrorCategory, GatewayError
from scalix_callbacks.ledger.database import connect
from scalix_callbacks.ledger.usage_records import UsageRecords
from scalix_callbacks.store.errors import StoreLost
from scalix_callbacks.web.ledger import ledger_page, outbox_state
from tests.databases import make_tables
from tests.records import NOON, call_record
from tests.web.used import break_database

RECORD = call_record(
    model_requested="free-flash", model_used=None, provider=None, prompt_tokens=None, completion_tokens=None
)


def record(number: int) -> dict[str, Any]:
    """Of the minute with this number; ada's are the even ones."""
    user = "bob" if number % 2 else "ada"
    at = NOON + timedelta(minutes=number)
    return replace(RECORD, call_id=f"c{number}", user_id=user, at=at).to_json()


@pytest.fixture
def records(tmp_path: Path) -> Iterator[UsageRecords]:
    """Five calls, a minute apart."""
    engine = connect(f"sqlite:///{tmp_path / 'scalix.db'}")
    make_tables(engine)
    records = UsageRecords(engine)
    records.insert([(record(number), False) for number in range(5)])
    yield records
    engine.dispose()


async def ask(app: ASGIApp, query: str = "") -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        return await client.get(f"/?{query}")


async def read(records: UsageRecords, query: str = "") -> Any:
    answer = await ask(ledger_page(records), query)
    assert (200, "no-store") == (answer.status_code, answer.headers["cache-control"])
    return answer.json()


async def ids(records: UsageRecords, query: str) -> list[str]:
    return [each["call_id"] for each in (await read(records, query))["records"]]


async def test_the_ledger_is_read_oldest_first(records: UsageRecords) -> None:
    """Every record with all its fields, and null for the next page where there is none."""
    assert {"records": [record(number) for number in range(5)], "next": None} == await read(records)


async def test_the_next_page_begins_where_the_last_ended(records: UsageRecords) -> None:
    """The cursor of one page goes into the address of the next as it is."""
    first = await read(records, "limit=3")
    second = await read(records, f"limit=3&cursor={first['next']}")

    assert [record(0), record(1), record(2)] == first["records"]
    assert {"records": [record(3), record(4)], "next": None} == second


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("user_id=ada", ["c0", "c2", "c4"]),
        ("user_id=nobody", []),
        ("since=2030-01-31T12:03:00Z", ["c3", "c4"]),
        ("until=2030-01-31T12:01:00Z", ["c0"]),
        ("since=2030-01-31T12:01:00Z&until=2030-01-31T12:03:00Z&user_id=bob", ["c1"]),
        ("until=2030-01-31T12:00:00Z", []),
        # in other writings
        ("since=2030-01-31T12:03", ["c3", "c4"]),
        ("since=2030-01-31T13:03:00%2B01:00", ["c3", "c4"]),
        ("since=2030-01-31T13:03:00+01:00", ["c3", "c4"]),
        ("since=2030-01-31+12:03:00", ["c3", "c4"]),
        ("since=2030-01-31", ["c0", "c1", "c2", "c3", "c4"]),
        ("until=2030-01-31", []),
        # an unknown field asks for nothing
        ("limit=1&sort=desc", ["c0"]),
    ],
)
async def test_what_is_asked_for_is_what_comes(
    records: UsageRecords, query: str, expected: list[str]
) -> None:
    """A span holds its begin and not its end; a time without a zone is UTC; a bare + is understood."""
    assert expected == await ids(records, query)


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("user_id=", "user_id"),
        (f"user_id={'x' * 129}", "user_id"),
        ("user_id=a%00b", "user_id"),
        ("since=", "since"),
        ("since=yesterday", "since"),
        ("until=1893456000", "until"),
        ("since=0001-01-01T00:00:00%2B10:00", "since"),
        ("limit=", "limit"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=-1", "limit"),
        ("limit=1.5", "limit"),
        ("limit=%D9%A3", "limit"),
        ("limit=" + "9" * 5_000, "limit"),
        ("cursor=", "cursor"),
        ("cursor=nonsense", "cursor"),
    ],
)
async def test_a_value_that_makes_no_sense_is_named(records: UsageRecords, query: str, param: str) -> None:
    """And not taken for something else."""
    with pytest.raises(GatewayError) as refusal:
        await ask(ledger_page(records), query)

    assert (ErrorCategory.INVALID_REQUEST, param) == (refusal.value.category, refusal.value.param)
    assert refusal.value.message.startswith(f"{param} ")


async def test_a_thousand_is_the_most(records: UsageRecords) -> None:
    """And may be asked for."""
    assert 5 == len(await ids(records, "limit=1000"))


async def test_a_database_that_is_away_is_said_so(records: UsageRecords, tmp_path: Path) -> None:
    """With when to try again, and without its address."""
    break_database(tmp_path)
    with pytest.raises(GatewayError) as refusal:
        await ask(ledger_page(records))

    assert (503, 5.0) == (refusal.value.status, refusal.value.retry_after_s)
    assert "scalix.db" not in refusal.value.message


class Waiting:
    """What is on its way; `is_lost` when Redis is."""

    def __init__(self, *, is_lost: bool = False) -> None:
        self.asked: list[str] = []
        self._is_lost = is_lost

    async def pending(self) -> int:
        self.asked.append("pending")
        return 3

    async def reservations_held(self) -> int:
        self.asked.append("held")
        if self._is_lost:
            raise StoreLost
        return 2


async def test_what_is_on_its_way_is_counted() -> None:
    """Open calls first: one that ends meanwhile must not fall between the two."""
    waiting = Waiting()
    answer = await ask(outbox_state(waiting))

    assert {"pending": 3, "reservations_held": 2} == answer.json()
    assert ["held", "pending"] == waiting.asked
    assert "no-store" == answer.headers["cache-control"]


async def test_a_store_that_is_away_is_said_so() -> None:
    """Unknown is not zero."""
    with pytest.raises(GatewayError) as refusal:
        await ask(outbox_state(Waiting(is_lost=True)))

    assert (503, 5.0) == (refusal.value.status, refusal.value.retry_after_s)
