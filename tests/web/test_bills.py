"""Bills over HTTP."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from starlette.types import ASGIApp

from scalix_callbacks.core.errors import GatewayError
from scalix_callbacks.core.money import nano_usd
from scalix_callbacks.ledger.accounts import Accounts
from scalix_callbacks.ledger.usage_sums import UsageSums
from scalix_callbacks.web.bills import bills_page
from tests.web.used import RECORDS, break_database, get, ledger


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with ledger(tmp_path) as engine:
        Accounts(engine).create_account("idle", "free")
        yield engine


def page(engine: Engine) -> ASGIApp:
    return bills_page(UsageSums(engine), Accounts(engine), lambda: datetime(2030, 2, 1, tzinfo=UTC))


async def read(engine: Engine, query: str) -> Any:
    return (await get(page(engine), query)).json()


async def refused(engine: Engine, query: str) -> tuple[int, str | None]:
    with pytest.raises(GatewayError) as refusal:
        await get(page(engine), query)
    return refusal.value.status, refusal.value.param


async def test_a_bill_has_a_line_per_model(engine: Engine) -> None:
    """What the price is not known of says so."""
    told = await read(engine, "month=2030-02&user_id=ada")
    [bill] = told["bills"]

    assert ("2030-02", None, "ada") == (told["month"], told["next"], bill["user_id"])
    assert [("flash", 1, None, 1), ("gpt-4.1", 1, None, 1)] == [
        (line["model"], line["calls"], line["price_usd"], line["price_unknown_calls"])
        for line in bill["lines"]
    ]


@pytest.mark.parametrize("month", ["2030-01", "2030-02"])
async def test_bills_agree_with_the_ledger(engine: Engine, month: str) -> None:
    """To the nano-dollar, account by account."""
    told = await read(engine, f"month={month}")
    expected: dict[str, int] = {}
    for record in RECORDS:
        if record.at.isoformat().startswith(month):
            expected[record.user_id] = expected.get(record.user_id, 0) + (record.price_nano_usd or 0)

    assert expected == {
        bill["user_id"]: sum(nano_usd(line["price_usd"] or "0") for line in bill["lines"])
        for bill in told["bills"]
    }


async def test_bills_come_in_pages_of_accounts(engine: Engine) -> None:
    """Each bill whole."""
    first = await read(engine, "month=2030-02&limit=1")
    second = await read(engine, f"month=2030-02&limit=1&cursor={first['next']}")

    assert (["ada"], ["bob"], None) == (
        [bill["user_id"] for bill in first["bills"]],
        [bill["user_id"] for bill in second["bills"]],
        second["next"],
    )


async def test_bills_as_csv(engine: Engine) -> None:
    """For a spreadsheet; the next page is in a header."""
    answer = await get(page(engine), "month=2030-02&format=csv&limit=1")

    assert ("text/csv; charset=utf-8", "ada", 'attachment; filename="bills-2030-02.csv"') == (
        answer.headers["content-type"],
        answer.headers["x-scalix-next"],
        answer.headers["content-disposition"],
    )
    assert ["2030-02,ada,flash,pro,1,1,100,0,0,,1", "2030-02,ada,gpt-4.1,pro,1,0,0,0,0,,1"] == (
        answer.text.splitlines()[1:]
    )


async def test_who_used_nothing_has_an_empty_bill(engine: Engine) -> None:
    """An account without a call, and one without a call in that month."""
    for name, month in (("idle", "2030-01"), ("bob", "2030-01")):
        [bill] = (await read(engine, f"month={month}&user_id={name}"))["bills"]

        assert (name, [], "0.000000") == (bill["user_id"], bill["lines"], bill["total"]["price_usd"])


async def test_a_month_without_calls_has_no_bills(engine: Engine) -> None:
    """Nor a next page."""
    assert {"month": "2029-12", "bills": [], "next": None} == await read(engine, "month=2029-12")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", (400, "month")),
        ("month=2030-13", (400, "month")),
        ("month=2030-03", (400, "month")),
        ("month=2030-02&format=pdf", (400, "format")),
        ("month=2030-02&limit=x", (400, "limit")),
        ("month=2030-02&user_id=", (400, "user_id")),
        ("month=2030-02&user_id=nobody", (404, "user_id")),
    ],
)
async def test_what_cannot_be_billed_is_told(engine: Engine, query: str, expected: tuple[int, str]) -> None:
    """An unknown month or account is one sentence."""
    assert expected == await refused(engine, query)


async def test_a_database_that_is_away_is_said_so(tmp_path: Path, engine: Engine) -> None:
    """An empty bill would be wrong."""
    engine.dispose()
    break_database(tmp_path)

    assert (503, None) == await refused(engine, "month=2030-02")
