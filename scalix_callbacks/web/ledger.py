"""`GET /scalix/admin/ledger` and `/scalix/admin/outbox`: what was recorded, and what still is on its way."""

import asyncio
from datetime import datetime
from typing import Any, Protocol

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from scalix_callbacks.ledger.errors import DatabaseError
from scalix_callbacks.ledger.usage_records import InvalidCursor
from scalix_callbacks.store.errors import StoreLost
from scalix_callbacks.web.own_routes import NO_STORE, unavailable
from scalix_callbacks.web.query import bad_cursor, limit_of, moment_of, query_of, text_of


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
        query = query_of(scope)
        try:
            found, following = await asyncio.to_thread(
                records.page,
                text_of(query, "user_id"),
                moment_of(query, "since"),
                moment_of(query, "until"),
                limit_of(query),
                query.get("cursor"),
            )
        except InvalidCursor:
            raise bad_cursor() from None
        except DatabaseError:
            raise unavailable("The ledger cannot be read right now: the database does not answer.") from None
        await JSONResponse({"records": found, "next": following}, headers=NO_STORE)(scope, receive, send)

    return app


def outbox_state(waiting: CountsWaiting) -> ASGIApp:
    """`{"pending", "reservations_held"}`: records not yet in the ledger, and calls not yet settled."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            pending, held = await waiting_now(waiting)
        except StoreLost:
            raise unavailable("The outbox cannot be read right now: Redis does not answer.") from None
        state = {"pending": pending, "reservations_held": held}
        await JSONResponse(state, headers=NO_STORE)(scope, receive, send)

    return app


async def waiting_now(waiting: CountsWaiting) -> tuple[int, int]:
    """How many records are not yet in the ledger, and how many calls not yet settled. Raises StoreLost."""
    # Open calls first: one that is settled meanwhile is counted twice rather than not at all.
    held = await waiting.reservations_held()
    return await waiting.pending(), held
