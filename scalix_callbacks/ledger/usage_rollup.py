"""Sums of usage records by day, account and model, changed together with the records."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, delete
from sqlalchemy.dialects import postgresql, sqlite

from scalix_callbacks.ledger.schema import usage_daily

KEY = ("day", "user_id", "tier", "model_requested", "model_used", "outcome", "error_category")
"""What records must have in common to be summed in one row."""
SUMS = tuple(column.name for column in usage_daily.columns if column.name not in ("id", *KEY))

_TOKENS = ("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens")


class RollUp:
    """What one transaction changes of the sums: `add` and `take` records, then `write` once, at its end."""

    def __init__(self) -> None:
        self._changes: dict[tuple[Any, ...], dict[str, int]] = {}
        self._is_taking = False

    def add(self, record: Mapping[str, Any]) -> None:
        """Args: record: a row of `usage_records`."""
        self._change(record, 1)

    def take(self, record: Mapping[str, Any]) -> None:
        """The opposite of `add`, for a record that is replaced."""
        self._is_taking = True
        self._change(record, -1)

    def write(self, connection: Connection) -> None:
        """Changes the sums; other transactions that change the same ones wait until this one ends."""
        rows = [
            {"id": row_id(key), **dict(zip(KEY, key, strict=True)), **sums}
            for key, sums in self._changes.items()
            if any(sums.values())
        ]
        if not rows:
            return
        # In one order for all workers: two that change the same rows must not each wait for the other.
        rows.sort(key=lambda row: str(row["id"]))
        _add_up(connection, usage_daily, rows)
        if self._is_taking:
            _drop_empty(connection, rows)

    def _change(self, record: Mapping[str, Any], sign: int) -> None:
        key = (record["at"].date(), *(_text(record[name]) for name in KEY[1:]))
        sums = self._changes.setdefault(key, dict.fromkeys(SUMS, 0))
        for name, amount in _amounts(record).items():
            sums[name] += sign * amount


def move_user(connection: Connection, user_id: str, to: str) -> None:
    """Books the sums of one account under another name, for records that were renamed in this transaction."""
    # Read by the delete itself, so that nothing is lost that another transaction adds meanwhile.
    taken = delete(usage_daily).where(usage_daily.c.user_id == user_id).returning(usage_daily)
    rows = [dict(row) for row in connection.execute(taken).mappings()]
    for row in rows:
        row["user_id"] = to
        row["id"] = row_id(tuple(row[name] for name in KEY))
    if rows:
        _add_up(connection, usage_daily, sorted(rows, key=lambda row: str(row["id"])))
        _drop_empty(connection, rows)


def row_id(key: tuple[Any, ...]) -> str:
    """The primary key of the sums with these values of `KEY`; an index over the values would have a bound."""
    day, *rest = key
    return hashlib.sha256(json.dumps([day.isoformat(), *rest]).encode()).hexdigest()


def _add_up(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    # Each database has this insert in a class of its own.
    insert = (sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert)(table)
    added = {name: table.c[name] + insert.excluded[name] for name in SUMS}
    connection.execute(insert.on_conflict_do_update(index_elements=[table.c.id], set_=added), rows)


def _drop_empty(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Of these, those in which nothing is left.

    While an account is being renamed its records and sums may stand under different names for a moment: a
    row may then be below zero, or have no calls and yet something that makes up for another row.
    """
    is_empty = [usage_daily.c[name] == 0 for name in SUMS]
    ids = [row["id"] for row in rows]
    for start in range(0, len(ids), 500):
        among = usage_daily.c.id.in_(ids[start : start + 500])
        connection.execute(delete(usage_daily).where(among, *is_empty))


def _amounts(record: Mapping[str, Any]) -> dict[str, int]:
    price, cost, duration_ms = (
        record[name] for name in ("price_nano_usd", "provider_cost_nano_usd", "duration_ms")
    )
    tokens = {name: record[name] or 0 for name in _TOKENS}
    return {
        "calls": 1,
        "requests": record["requests_counted"],
        **tokens,
        "price_nano_usd": price or 0,
        "price_unknown_calls": int(price is None),
        "priced_tokens": 0 if price is None else tokens["prompt_tokens"] + tokens["completion_tokens"],
        "provider_cost_nano_usd": cost or 0,
        "provider_cost_unknown_calls": int(cost is None),
        "duration_ms": duration_ms or 0,
        "timed_calls": int(duration_ms is not None),
    }


def _text(value: Any) -> str | None:
    """Of an enum its value."""
    return None if value is None else str(value)
