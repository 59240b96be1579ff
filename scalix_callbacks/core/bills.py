"""A bill: what one account is charged for one month, model by model, as JSON and as CSV."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from scalix_callbacks.core.money import usd_text
from scalix_callbacks.core.usage_sums import Sums

CSV_COLUMNS = (
    *("month", "user_id", "model", "tier", "calls", "requests"),
    *("prompt_tokens", "completion_tokens", "cached_tokens", "price_usd", "price_unknown_calls"),
)

_MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Line:
    """The calls of one model in one tier; tier None: the operator's own."""

    model: str
    tier: str | None
    sums: Sums


@dataclass(frozen=True, slots=True)
class Bill:
    """Of one account. Its total is the sum of its lines, and theirs that of the ledger's records."""

    user_id: str
    lines: tuple[Line, ...]

    @property
    def total(self) -> Sums:
        return sum((line.sums for line in self.lines), Sums())


def parse_month(text: str) -> tuple[date, date]:
    """`2026-11` → its first and its last day.

    Raises:
        ValueError: it is no month.
    """
    match = _MONTH.fullmatch(text)
    if match is None or match[1] == "0000":
        raise ValueError("A month is written like 2026-11.")
    first = date(int(match[1]), int(match[2]), 1)
    if (first.year, first.month) == (9999, 12):
        return first, date.max
    return first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)


def bills_of(lines: Iterable[tuple[str, Line]]) -> list[Bill]:
    """Args: lines: with whose they are, those of one account beside each other."""
    by_user: dict[str, list[Line]] = {}
    for user_id, line in lines:
        by_user.setdefault(user_id, []).append(line)
    return [Bill(user_id, tuple(own)) for user_id, own in by_user.items()]


def bill_object(bill: Bill, month: str) -> dict[str, Any]:
    """JSON of a bill."""
    lines = [{"model": line.model, "tier": line.tier, **_amounts(line.sums)} for line in bill.lines]
    return {"user_id": bill.user_id, "month": month, "lines": lines, "total": _amounts(bill.total)}


def bills_csv(bills: Sequence[Bill], month: str) -> str:
    """One line per bill and model, with a head; an empty price is one that is not known."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(CSV_COLUMNS)
    for bill in bills:
        for line in bill.lines:
            names = (month, bill.user_id, line.model, line.tier or "")
            writer.writerow([*map(_no_formula, names), *map(_cell, _amounts(line.sums).values())])
    return out.getvalue()


def _amounts(sums: Sums) -> dict[str, Any]:
    price = sums.known_price_nano_usd
    return {
        "calls": sums.calls,
        "requests": sums.requests,
        "prompt_tokens": sums.prompt_tokens,
        "completion_tokens": sums.completion_tokens,
        "cached_tokens": sums.cached_tokens,
        "price_usd": None if price is None else usd_text(price),
        "price_unknown_calls": sums.price_unknown_calls,
    }


def _cell(value: object) -> str:
    return "" if value is None else str(value)


def _no_formula(text: str) -> str:
    """A spreadsheet would run a name that begins like a formula."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
