"""`GET /scalix/admin/ledger` and `/scalix/admin/outbox`: what was recorded, and what still is on its way."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import parse_qsl

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from scalix_callbacks.core.errors import ErrorCategory, GatewayError, invalid
from scalix_callbacks.ledger.errors import DatabaseError
from scalix_callbacks.ledger.usage_records import MAX_PAGE, InvalidCursor
from scalix_callbacks.store.errors import StoreLost

DEFAULT_PAGE = 100
MAX_USER_ID = 128
RETRY_S = 5.0

_NO_STORE = {"cache-control": "no-store"}


class ReadsRecords(Protocol):
    """The ledger, by page: `UsageRecords`. Raises DatabaseError, InvalidCursor."""

    def page(
        self,
        user_id: str | None,
        since: datetime | None,
        until: datetime | None,
        limit: int,
        cursor: str | None,
    ) -> tuple[list[dict[str, Any]], str | None]: ...


class CountsWaiting(Protocol):
    """The outbox and the open calls, of all workers together. Raises StoreLost."""

    async def pending(self) -> int: ...

    async def reservations_held(self) -> int: ...


def ledger_page(records: ReadsRecords) -> ASGIApp:
    """`?user_id&since&until&limit&cursor` → `{"records": […], "next": cursor or null}`, oldest first."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        try:
            found, following = await asyncio.to_thread(
                records.page,
                _user_id(query),
                _moment(query, "since"),
                _moment(query, "until"),
                _limit(query),
                query.get("cursor"),
            )
        except InvalidCursor:
            raise invalid(
                "cursor is none that a page gave as next. Leave it out to begin.", param="cursor"
            ) from None
        except DatabaseError:
            raise _unavailable("The ledger cannot be read right now: the database does not answer.") from None
        await JSONResponse({"records": found, "next": following}, headers=_NO_STORE)(scope, receive, send)

    return app


def outbox_state(waiting: CountsWaiting) -> ASGIApp:
    """`{"pending", "reservations_held"}`: records not yet in the ledger, and calls not yet settled."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            # Open calls first: one that is settled meanwhile is counted twice rather than not at all.
            held = await waiting.reservations_held()
            state = {"pending": await waiting.pending(), "reservations_held": held}
        except StoreLost:
            raise _unavailable("The outbox cannot be read right now: Redis does not answer.") from None
        await JSONResponse(state, headers=_NO_STORE)(scope, receive, send)

    return app


def _user_id(query: Mapping[str, str]) -> str | None:
    value = query.get("user_id")
    if value is not None and not (1 <= len(value) <= MAX_USER_ID and value.isprintable()):
        raise invalid(f"user_id must be 1 to {MAX_USER_ID} printable characters.", param="user_id")
    return value


def _moment(query: Mapping[str, str], name: str) -> datetime | None:
    """In UTC, also where no zone is named. The + of a zone may have come as a space, as queries have it."""
    value = query.get(name)
    if value is None:
        return None
    for text in (value, "+".join(value.rsplit(" ", 1))):
        try:
            moment = datetime.fromisoformat(text)
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except (ValueError, OverflowError):
            continue
    raise invalid(f"{name} must be an ISO 8601 time, such as 2030-01-31T18:00:00Z.", param=name)


def _limit(query: Mapping[str, str]) -> int:
    value = query.get("limit", str(DEFAULT_PAGE))
    if not (value.isascii() and value.isdigit() and len(value) <= 4 and 1 <= int(value) <= MAX_PAGE):
        raise invalid(f"limit must be a whole number from 1 to {MAX_PAGE}.", param="limit")
    return int(value)


def _unavailable(message: str) -> GatewayError:
    return GatewayError(
        ErrorCategory.SERVICE_UNAVAILABLE, f"{message} Try again in a moment.", retry_after_s=RETRY_S
    )
