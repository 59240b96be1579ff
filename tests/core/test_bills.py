"""Bills, as JSON and as CSV."""

from datetime import date

import pytest

from scalix_callbacks.core.bills import Bill, Line, bill_object, bills_csv, bills_of, parse_month
from scalix_callbacks.core.usage_sums import Sums

FIRST = Line("gpt-4.1", "pro", Sums(calls=2, requests=1, prompt_tokens=3, price_nano_usd=1))
SECOND = Line("flash", None, Sums(calls=1, completion_tokens=4, price_unknown_calls=1))


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2026-11", date(2026, 11, 1), date(2026, 11, 30)),
        ("2028-02", date(2028, 2, 1), date(2028, 2, 29)),
        ("2026-12", date(2026, 12, 1), date(2026, 12, 31)),
        ("9999-12", date(9999, 12, 1), date(9999, 12, 31)),
    ],
)
def test_a_month_is_all_of_its_days(text: str, first: date, last: date) -> None:
    """From its first to its last."""
    assert (first, last) == parse_month(text)


@pytest.mark.parametrize(
    "text", ["", "2026", "2026-13", "2026-00", "2026-1", "0000-01", "2026-11-01", "٢٠٢٦-11"]
)
def test_what_is_no_month_is_told(text: str) -> None:
    """With an example."""
    with pytest.raises(ValueError, match="2026-11"):
        parse_month(text)


def test_a_bill_is_the_sum_of_its_lines() -> None:
    """A price nobody knows is null, and counted; the total is what is known."""
    [bill] = bills_of([("ada", FIRST), ("ada", SECOND)])
    told = bill_object(bill, "2026-11")

    assert ("ada", "2026-11") == (told["user_id"], told["month"])
    assert [
        ("gpt-4.1", "pro", 2, "0.000000001", 0),
        ("flash", None, 1, None, 1),
    ] == [
        (line["model"], line["tier"], line["calls"], line["price_usd"], line["price_unknown_calls"])
        for line in told["lines"]
    ]
    assert {
        "calls": 3,
        "requests": 1,
        "prompt_tokens": 3,
        "completion_tokens": 4,
        "cached_tokens": 0,
        "price_usd": "0.000000001",
        "price_unknown_calls": 1,
    } == told["total"]


def test_bills_are_told_apart_by_account() -> None:
    """Each with its own lines."""
    assert [Bill("ada", (FIRST, SECOND)), Bill("bob", (FIRST,))] == bills_of(
        [("ada", FIRST), ("ada", SECOND), ("bob", FIRST)]
    )


def test_bills_as_csv() -> None:
    """One line per model, an empty price where it is not known, and nothing a spreadsheet would run."""
    odd = Line('=cmd(,"x")', "pro", Sums(calls=1, price_nano_usd=2_500_000_000))

    assert [
        "month,user_id,model,tier,calls,requests,prompt_tokens,completion_tokens,cached_tokens,price_usd,"
        "price_unknown_calls",
        "2026-11,ada,gpt-4.1,pro,2,1,3,0,0,0.000000001,0",
        "2026-11,ada,flash,,1,0,0,4,0,,1",
        """2026-11,'@bob,"'=cmd(,""x"")",pro,1,0,0,0,0,2.500000,0""",
    ] == bills_csv([Bill("ada", (FIRST, SECOND)), Bill("@bob", (odd,))], "2026-11").splitlines()
