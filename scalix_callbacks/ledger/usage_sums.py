"""Reads the sums of usage records: by day, model, tier, user, category."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Engine, case, func, literal, literal_column, select, tuple_
from sqlalchemy.types import Date, Text

from scalix_callbacks.core.auto import AUTO_NAMES
from scalix_callbacks.core.record import Outcome
from scalix_callbacks.core.usage_sums import Sums
from scalix_callbacks.ledger.database import reading
from scalix_callbacks.ledger.schema import usage_daily
from scalix_callbacks.ledger.usage_records import InvalidCursor

MAX_PAGE = 1_000
AUTO_MODELS = AUTO_NAMES
"""Who names one of these leaves the choice to us: whatever answers is what was asked for."""


class Group(StrEnum):
    """What sums can be told apart by; the value is the name in queries and answers."""

    DAY = "day"
    USER = "user"
    TIER = "tier"
    MODEL = "model"
    """The one that answered; where none did, the one that was asked for."""
    MODEL_REQUESTED = "model_requested"
    OUTCOME = "outcome"
    CATEGORY = "category"


@dataclass(frozen=True, slots=True)
class Span:
    """Days in UTC, both of them included, and whose and what calls count; None: all."""

    first: date | None = None
    last: date | None = None
    user_id: str | None = None
    tier: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """`group` in the order that was asked for; None: that has none, such as the category of a success."""

    group: dict[str, str | None]
    sums: Sums


class UsageSums:
    """The sums of one database. Any number of threads may share it; every call may wait for the database.

    Every method raises `DatabaseError` when the database fails.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def total(self, span: Span) -> Sums:
        return self.page(span, (), limit=1)[0][0].sums

    def page(
        self, span: Span, by: Sequence[Group], limit: int = 100, cursor: str | None = None
    ) -> tuple[list[Row], str | None]:
        """Up to `limit` (1 to 1,000) rows in the order of their groups, and the cursor of the next page.

        Raises:
            InvalidCursor: `cursor` is none that a page with the same groups gave.
        """
        if not 1 <= limit <= MAX_PAGE:
            raise ValueError(f"A page has 1 to {MAX_PAGE} rows.")
        groups = [_GROUPS[each] for each in by]
        query = select(*groups, *_SUMS).where(*_conditions(span)).group_by(*groups).order_by(*groups)
        if cursor is not None:
            query = query.where(tuple_(*groups) > tuple_(*_read_cursor(cursor, by)))
        with reading(self._engine) as connection:
            found = connection.execute(query.limit(limit + 1)).all()
        rows = [_row(by, each) for each in found[:limit]]
        return rows, _cursor(found[limit - 1][: len(by)]) if len(found) > limit else None

    def users(self, span: Span, limit: int, after: str | None = None) -> list[str]:
        """Up to `limit` of those who called, by name."""
        user_id = usage_daily.c.user_id
        query = select(user_id).where(*_conditions(span)).group_by(user_id).order_by(user_id).limit(limit)
        if after is not None:
            query = query.where(user_id > after)
        with reading(self._engine) as connection:
            return list(connection.scalars(query))

    def by_user_and_model(self, span: Span, first_user: str, last_user: str) -> list[Row]:
        """The sums of these users and those between them, by user, model and tier."""
        by = (Group.USER, Group.MODEL, Group.TIER)
        groups = [_GROUPS[each] for each in by]
        user_id = usage_daily.c.user_id
        query = (
            select(*groups, *_SUMS)
            .where(*_conditions(span), user_id >= first_user, user_id <= last_user)
            .group_by(*groups)
            .order_by(*groups)
        )
        with reading(self._engine) as connection:
            return [_row(by, each) for each in connection.execute(query)]

    def most(self, span: Span, by: Group, limit: int) -> list[Row]:
        """The `limit` groups with the most calls, most first. Reads all sums of the span: ask it seldom."""
        group = _GROUPS[by]
        calls = func.sum(usage_daily.c.calls)
        query = select(group, *_SUMS).where(*_conditions(span)).group_by(group)
        with reading(self._engine) as connection:
            found = connection.execute(query.order_by(calls.desc(), group).limit(limit))
            return [_row((by,), each) for each in found]


_c = usage_daily.c
_NONE: ColumnElement[str] = literal_column("''", Text)
"""Written out: PostgreSQL takes two bound parameters of a GROUP BY for different ones."""
_GROUPS: dict[Group, ColumnElement[Any]] = {
    Group.DAY: _c.day,
    Group.USER: _c.user_id,
    Group.TIER: func.coalesce(_c.tier, _NONE),
    Group.MODEL: func.coalesce(_c.model_used, _c.model_requested),
    Group.MODEL_REQUESTED: _c.model_requested,
    Group.OUTCOME: _c.outcome,
    Group.CATEGORY: func.coalesce(_c.error_category, _NONE),
}
_IS_OK = _c.outcome == Outcome.OK.value
_IS_OWN = (_c.model_used == _c.model_requested) | _c.model_requested.in_(AUTO_MODELS)
_WHERE_OK: dict[str, tuple[ColumnElement[bool], ColumnElement[int]]] = {
    "own_model": (_IS_OK & _IS_OWN, _c.calls),
    "fallbacks": (_IS_OK & _c.model_used.is_not(None) & ~_IS_OWN, _c.calls),
    "ok_duration_ms": (_IS_OK, _c.duration_ms),
    "ok_timed": (_IS_OK, _c.timed_calls),
    **{outcome.value: (_c.outcome == outcome.value, _c.calls) for outcome in Outcome},
}


def _sum(name: str) -> ColumnElement[Any]:
    condition, column = _WHERE_OK.get(name, (None, None))
    summed = _c[name] if column is None else case((condition, column), else_=0)  # type: ignore[arg-type]
    return func.coalesce(func.sum(summed), 0)


_SUMS = [_sum(each.name) for each in fields(Sums)]


def _conditions(span: Span) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if span.first is not None:
        conditions.append(_c.day >= span.first)
    if span.last is not None:
        conditions.append(_c.day <= span.last)
    if span.user_id is not None:
        conditions.append(_c.user_id == span.user_id)
    if span.tier is not None:
        conditions.append(_c.tier == span.tier)
    if span.model is not None:
        conditions.append(_GROUPS[Group.MODEL] == span.model)
    return conditions


def _row(by: Sequence[Group], found: Any) -> Row:
    names = {each.value: _text(value) for each, value in zip(by, found, strict=False)}
    return Row(names, Sums(*(int(value) for value in found[len(by) :])))


def _text(value: Any) -> str | None:
    return value.isoformat() if isinstance(value, date) else str(value) or None


def _cursor(groups: Sequence[Any]) -> str:
    text = json.dumps([_text(value) or "" for value in groups])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_cursor(cursor: str, by: Sequence[Group]) -> list[ColumnElement[Any]]:
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        values = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if not isinstance(values, list) or len(values) != len(by) or not by:
            raise ValueError
        return [_literal(group, value) for group, value in zip(by, values, strict=True)]
    except (ValueError, RecursionError):
        raise InvalidCursor("This is no cursor of a page with these groups.") from None


def _literal(group: Group, value: Any) -> ColumnElement[Any]:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError
    value.encode()  # half of a surrogate pair is a ValueError as well
    return literal(date.fromisoformat(value), Date) if group is Group.DAY else literal(value, Text)
