"""`GET /scalix/admin/bills`: what every account is charged for a month."""

import asyncio
from collections.abc import Callable
from datetime import date, datetime

from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from scalix_callbacks.core.bills import Bill, bill_object, bills_csv, parse_month
from scalix_callbacks.core.errors import ErrorCategory, GatewayError, invalid
from scalix_callbacks.ledger.errors import DatabaseError
from scalix_callbacks.ledger.usage_bills import FindsAccounts, UnknownAccount, bills_page_of
from scalix_callbacks.ledger.usage_sums import UsageSums
from scalix_callbacks.web.own_routes import NO_STORE, unavailable
from scalix_callbacks.web.query import Query, limit_of, query_of, text_of

NEXT_HEADER = "x-scalix-next"


def bills_page(sums: UsageSums, accounts: FindsAccounts, now: Callable[[], datetime]) -> ASGIApp:
    """`?month&user_id&format&limit&cursor` → `{"month", "bills": […], "next": cursor or null}`, or CSV.

    `limit` and `cursor` count accounts; of a CSV the cursor of the next page is in the header x-scalix-next.
    """

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        query = query_of(scope)
        month, is_csv = _month(query, now().date()), _is_csv(query)
        user_id, limit, cursor = text_of(query, "user_id"), limit_of(query), text_of(query, "cursor")
        try:
            bills, following = await asyncio.to_thread(
                bills_page_of, sums, accounts, parse_month(month), user_id, limit, cursor
            )
        except UnknownAccount as error:
            raise GatewayError(ErrorCategory.NOT_FOUND, str(error), param="user_id") from None
        except DatabaseError:
            raise unavailable("Bills cannot be made right now: the database does not answer.") from None
        await _answer(bills, month, following, is_csv=is_csv)(scope, receive, send)

    return app


def _answer(bills: list[Bill], month: str, following: str | None, *, is_csv: bool) -> Response:
    headers = dict(NO_STORE)
    if not is_csv:
        body = {"month": month, "bills": [bill_object(bill, month) for bill in bills], "next": following}
        return JSONResponse(body, headers=headers)
    headers["content-disposition"] = f'attachment; filename="bills-{month}.csv"'
    if following is not None and following.isascii():
        headers[NEXT_HEADER] = following
    return Response(bills_csv(bills, month), media_type="text/csv", headers=headers)


def _month(query: Query, today: date) -> str:
    month = query.get("month")
    if month is None:
        raise invalid("month is missing. Name one, such as month=2026-11.", param="month")
    try:
        first, _ = parse_month(month)
    except ValueError:
        raise invalid("month must be a year and a month, such as 2026-11.", param="month") from None
    if first > today:
        raise invalid("month has not begun yet. Name one that has.", param="month")
    return month


def _is_csv(query: Query) -> bool:
    value = query.get("format", "json")
    if value not in ("json", "csv"):
        raise invalid("format must be json or csv.", param="format")
    return value == "csv"
