"""What was used: `/v1/user/stats`, `/v1/user/usage`, and for the operator `/scalix/admin/usage`."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from scalix_callbacks.core.analytics import basic_analytics, full_analytics
from scalix_callbacks.core.tiers import Feature, TierTable
from scalix_callbacks.core.usage_sums import Sums, row_object, sums_object
from scalix_callbacks.ledger.errors import DatabaseError
from scalix_callbacks.ledger.usage_records import InvalidCursor
from scalix_callbacks.ledger.usage_sums import Group, Row, Span
from scalix_callbacks.web.own_routes import NO_STORE, caller_of, unavailable
from scalix_callbacks.web.query import (
    MAX_DAYS,
    MAX_PAGE,
    Days,
    bad_cursor,
    days_of,
    limit_of,
    query_of,
    text_of,
    words_of,
)


class ReadsSums(Protocol):
    """`UsageSums`. Raises DatabaseError, InvalidCursor."""

    def total(self, span: Span) -> Sums: ...

    def page(
        self, span: Span, by: Sequence[Group], limit: int = 100, cursor: str | None = None
    ) -> tuple[list[Row], str | None]: ...


def user_stats(sums: ReadsSums, tiers: TierTable, now: Callable[[], datetime]) -> ASGIApp:
    """`?from&to` → `{"user_id", "tier", "from", "to", "analytics"}`; the last 30 days where none are named.

    Plans without `full_analytics` get the basic part of it.
    """

    def analytics(span: Span, is_full: bool) -> dict[str, Any]:
        if not is_full:
            return basic_analytics(sums.total(span))
        by_model, _ = sums.page(span, (Group.MODEL_REQUESTED, Group.MODEL), limit=MAX_PAGE)
        errors, _ = sums.page(span, (Group.CATEGORY,), limit=MAX_PAGE)
        return full_analytics(
            sums.total(span),
            [(*_names(row), row.sums) for row in by_model],  # type: ignore[misc]  # of two groups
            {name: row.sums.calls for row in errors for name in _names(row) if name},
        )

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        caller = caller_of(scope)
        days = days_of(query_of(scope), now().date())
        tier = caller.tier_in(tiers)
        is_full = tier is None or Feature.FULL_ANALYTICS in tier.features
        told = await _asked(analytics, _span(days, caller.id), is_full)
        body = {"user_id": caller.id, "tier": caller.tier, **_told(days), "analytics": told}
        await JSONResponse(body, headers=NO_STORE)(scope, receive, send)

    return app


def user_usage(sums: ReadsSums, now: Callable[[], datetime]) -> ASGIApp:
    """`?from&to` → `{"user_id", "from", "to", "total", "by_day", "by_model"}`, of at most 366 days.

    Of more than 1,000 models `by_model` tells the first by name.
    """

    def usage(span: Span) -> dict[str, Any]:
        by_day, _ = sums.page(span, (Group.DAY,), limit=MAX_DAYS)
        by_model, _ = sums.page(span, (Group.MODEL,), limit=MAX_PAGE)
        return {
            "total": sums_object(sums.total(span), with_provider=False),
            "by_day": [row_object(row.group, row.sums, with_provider=False) for row in by_day],
            "by_model": [row_object(row.group, row.sums, with_provider=False) for row in by_model],
        }

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        caller = caller_of(scope)
        days = days_of(query_of(scope), now().date())
        body = {"user_id": caller.id, **_told(days), **await _asked(usage, _span(days, caller.id))}
        await JSONResponse(body, headers=NO_STORE)(scope, receive, send)

    return app


def usage_page(sums: ReadsSums, now: Callable[[], datetime]) -> ASGIApp:
    """`?by&from&to&user_id&tier&model&limit&cursor` → `{"from", "to", "by", "usage": […], "total", "next"}`.

    `by` is any of day, user, tier, model, model_requested, outcome and category, with commas; default day.
    """

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        query = query_of(scope)
        by, days = words_of(query, "by", Group, (Group.DAY,)), days_of(query, now().date())
        names = {name: text_of(query, name) for name in ("user_id", "tier", "model")}
        span = Span(days.first, days.last, **names)
        try:
            rows, following = await _asked(sums.page, span, by, limit_of(query), query.get("cursor"))
        except InvalidCursor:
            raise bad_cursor() from None
        body = {
            **_told(days),
            "by": [group.value for group in by],
            "usage": [row_object(row.group, row.sums, with_provider=True) for row in rows],
            "total": sums_object(await _asked(sums.total, span), with_provider=True),
            "next": following,
        }
        await JSONResponse(body, headers=NO_STORE)(scope, receive, send)

    return app


def _names(row: Row) -> tuple[str | None, ...]:
    return tuple(row.group.values())


def _span(days: Days, user_id: str) -> Span:
    return Span(days.first, days.last, user_id=user_id)


def _told(days: Days) -> dict[str, str]:
    return {"from": days.first.isoformat(), "to": days.last.isoformat()}


async def _asked(read: Callable[..., Any], *arguments: Any) -> Any:
    """In a thread: the database may take its time."""
    try:
        return await asyncio.to_thread(read, *arguments)
    except DatabaseError:
        raise unavailable("Usage cannot be told right now: the database does not answer.") from None
