"""`GET /spend/logs`: the ledger in the form that LiteLLM's clients know.

Fields are those of `LiteLLM_SpendLogs` in LiteLLM 1.106.2. `spend` is what the user is charged, null where
that is not known. What the ledger does not keep (keys, bodies, addresses) is empty.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from scalix_callbacks.core.errors import GatewayError, invalid
from scalix_callbacks.core.moments import iso, parse_iso
from scalix_callbacks.core.money import NANO
from scalix_callbacks.core.record import Outcome
from scalix_callbacks.core.routes import Endpoint
from scalix_callbacks.ledger.errors import DatabaseError
from scalix_callbacks.ledger.usage_sums import Group, Row, Span
from scalix_callbacks.web.own_routes import NO_STORE, unavailable
from scalix_callbacks.web.query import Days, Query, days_of, query_of, text_of

MAX_LOGS = 1_000
"""As LiteLLM has it, but fewer: the newest, and the header below."""
TRUNCATED_HEADER = "x-litellm-spend-logs-truncated"
MAX_SUMMARY_ROWS = 20_000

_CALL_TYPES = {
    Endpoint.CHAT: "acompletion",
    Endpoint.COMPLETIONS: "atext_completion",
    Endpoint.EMBEDDINGS: "aembedding",
    Endpoint.RESPONSES: "aresponses",
    Endpoint.MESSAGES: "anthropic_messages",
}
_LATEST = datetime(9999, 1, 1, tzinfo=UTC)
"""So that a duration can be added."""
_FAILED = (Outcome.ERROR, Outcome.ABANDONED)


class ReadsRecords(Protocol):
    """`UsageRecords`. Raises DatabaseError."""

    def latest(
        self,
        user_id: str | None,
        request_id: str | None,
        since: datetime | None,
        until: datetime | None,
        limit: int,
    ) -> list[dict[str, Any]]: ...


class ReadsSums(Protocol):
    """`UsageSums`. Raises DatabaseError."""

    def page(
        self, span: Span, by: Sequence[Group], limit: int, cursor: str | None
    ) -> tuple[list[Row], str | None]: ...


def spend_logs(records: ReadsRecords, sums: ReadsSums) -> ASGIApp:
    """`?user_id&request_id&start_date&end_date&summarize` → a list, newest first.

    With both dates it is one of days, each with its `spend`, `users` and `models`, unless summarize=false.
    """

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        query = query_of(scope)
        user_id, request_id = text_of(query, "user_id"), text_of(query, "request_id")
        days = _days(query)
        headers = dict(NO_STORE)
        try:
            if days is not None and request_id is None and _is_summary(query):
                answer = await asyncio.to_thread(_summary, sums, days, user_id)
            else:
                since, until = _moments(days)
                found = await asyncio.to_thread(records.latest, user_id, request_id, since, until, MAX_LOGS)
                answer = [log_object(record) for record in found]
                if len(found) == MAX_LOGS:
                    headers[TRUNCATED_HEADER] = "true"
        except DatabaseError:
            raise unavailable("The ledger cannot be read right now: the database does not answer.") from None
        await JSONResponse(answer, headers=headers)(scope, receive, send)

    return app


def log_object(record: dict[str, Any]) -> dict[str, Any]:
    """Args: record: in the JSON form of `CallRecord`."""
    at = min(parse_iso(record["at"]), _LATEST)
    prompt, completion = record["prompt_tokens"] or 0, record["completion_tokens"] or 0
    price, duration_ms, first_ms = (
        record[name] for name in ("price_usd", "duration_ms", "time_to_first_token_ms")
    )
    ended_at = iso(at + timedelta(milliseconds=min(duration_ms or 0, 10**10)))
    return {
        "request_id": record["request_id"],
        "call_type": _CALL_TYPES.get(record["endpoint"], record["endpoint"]),
        "api_key": "",
        "spend": None if price is None else float(price),
        "total_tokens": prompt + completion,
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "startTime": iso(at),
        "endTime": ended_at,
        "completionStartTime": None
        if first_ms is None
        else iso(at + timedelta(milliseconds=min(first_ms, 10**10))),
        "request_duration_ms": duration_ms,
        "model": record["model_used"] or record["model_requested"],
        "model_id": "",
        "model_group": record["model_requested"],
        "custom_llm_provider": record["provider"] or "",
        "api_base": "",
        "user": record["user_id"],
        "metadata": {
            "outcome": record["outcome"],
            "error_category": record["error_category"],
            "tier": record["tier"],
            "estimated": record["estimated"],
        },
        "cache_hit": str(record["outcome"] == Outcome.CACHED),
        "cache_key": "",
        "request_tags": [],
        "team_id": None,
        "organization_id": None,
        "end_user": None,
        "requester_ip_address": None,
        "messages": {},
        "response": {},
        "proxy_server_request": {},
        "session_id": None,
        "status": "failure" if record["outcome"] in _FAILED else "success",
        "mcp_namespaced_tool_name": None,
        "agent_id": None,
        "litellm_call_id": record["call_id"],
        "created_at": ended_at,
        "updated_at": ended_at,
    }


def _summary(sums: ReadsSums, days: Days, user_id: str | None) -> list[dict[str, Any]]:
    """A day each up to the last, from the first on which there were calls."""
    by_day: dict[str, dict[str, Any]] = {}
    cursor, read = None, 0
    while True:
        span = Span(days.first, days.last, user_id=user_id)
        rows, cursor = sums.page(span, (Group.DAY, Group.USER, Group.MODEL), 1_000, cursor)
        read += len(rows)
        if read > MAX_SUMMARY_ROWS:
            raise _too_much()
        for row in rows:
            day, user, model = row.group.values()
            item = by_day.setdefault(str(day), _day(str(day)))
            spend = row.sums.price_nano_usd
            item["spend"] += spend
            item["users"][user] = item["users"].get(user, 0) + spend
            item["models"][model] = item["models"].get(model, 0) + spend
        if cursor is None:
            break
    told = [_in_usd(item) for item in by_day.values()]
    if told:
        last = date.fromisoformat(told[-1]["startTime"])
        following = (last + timedelta(days=n) for n in range(1, (days.last - last).days + 1))
        told += [_day(day.isoformat()) for day in following]
    return told


def _day(day: str) -> dict[str, Any]:
    return {"startTime": day, "spend": 0, "users": {}, "models": {}}


def _in_usd(item: dict[str, Any]) -> dict[str, Any]:
    """Summed in whole nano-USD, told as the floats LiteLLM's clients expect."""
    return {
        "startTime": item["startTime"],
        "spend": item["spend"] / NANO,
        "users": {name: nano / NANO for name, nano in item["users"].items()},
        "models": {name: nano / NANO for name, nano in item["models"].items()},
    }


def _days(query: Query) -> Days | None:
    """None: not both are named, which LiteLLM takes for none."""
    if "start_date" not in query or "end_date" not in query:
        return None
    return days_of(query, date.max, "start_date", "end_date")


def _moments(days: Days | None) -> tuple[datetime | None, datetime | None]:
    if days is None:
        return None, None
    midnight = datetime.min.time()
    since = datetime.combine(days.first, midnight, UTC)
    if days.last == date.max:
        return since, None
    return since, datetime.combine(days.last + timedelta(days=1), midnight, UTC)


def _is_summary(query: Query) -> bool:
    value = query.get("summarize", "true").lower()
    if value not in ("true", "false", "1", "0"):
        raise invalid("summarize must be true or false.", param="summarize")
    return value in ("true", "1")


def _too_much() -> GatewayError:
    return invalid(
        "These days have too many users and models for one answer. Ask for fewer days, or one user_id.",
        param="start_date",
    )
