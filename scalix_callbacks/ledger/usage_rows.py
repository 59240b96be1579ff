"""A usage record as JSON and as a row: checked on its way in, the same again on its way out."""

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from sqlalchemy import BigInteger, Column, Row

from scalix_callbacks.core.moments import iso
from scalix_callbacks.core.money import usd_text
from scalix_callbacks.core.record import CallRecord
from scalix_callbacks.ledger.schema import usage_records

MAX_TEXT = 10_000
"""Characters of a column that has no bound of its own, and of the windows' JSON."""
MAX_COUNT = 2**53 - 1
"""Of any amount in a record: 9 million USD for one call. Sums of fewer than a thousand such fit a row."""

_FIELDS = tuple(field.name for field in fields(CallRecord))


class BadRecord(ValueError):
    """This cannot be kept as a usage record; `str()` says why, and nothing of what is in it."""


def to_row(record: Mapping[str, Any]) -> dict[str, Any]:
    """The row of a record in the JSON form of `CallRecord`, fit for both databases.

    Raises:
        BadRecord: it is no such record, or has something that no database could keep.
    """
    try:
        kept = CallRecord.from_json(record)
    except ValueError as error:
        raise BadRecord(str(error)) from None
    except ArithmeticError:
        raise BadRecord("An amount or a moment is beyond all bounds.") from None
    row = {
        name: getattr(kept, name) for name in _FIELDS
    }  # asdict copies deeply: half of all that an insert costs
    for column in usage_records.columns:
        if not _fits(column, row[column.name]):
            raise BadRecord(f"{column.name} does not fit its column.")
    return row


def to_record(row: Row[Any]) -> dict[str, Any]:
    """The record of a row; not by `CallRecord`, which would refuse what a later version wrote."""
    values = dict(row._mapping)
    return {
        column.name.replace("_nano_usd", "_usd"): _to_json(column.name, values[column.name])
        for column in usage_records.columns
    }


def _fits(column: Column[Any], value: Any) -> bool:
    if isinstance(value, str):
        length: int = getattr(column.type, "length", None) or MAX_TEXT
        return len(value) <= length and _is_storable(value)
    if isinstance(value, dict):
        return len(json.dumps(value)) <= MAX_TEXT
    if isinstance(value, int):
        return abs(value) <= (MAX_COUNT if isinstance(column.type, BigInteger) else 2**31 - 1)
    return True


def _is_storable(text: str) -> bool:
    try:
        text.encode()  # neither database keeps half of a surrogate pair
    except UnicodeEncodeError:
        return False
    return "\0" not in text  # PostgreSQL


def _to_json(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name == "at":
        return iso(value)
    return usd_text(value) if name.endswith("_nano_usd") else value
