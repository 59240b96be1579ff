"""`GET /scalix/admin/traces/{id}`: what happened to a request, step by step."""

from typing import Any, Protocol

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from scalix_callbacks.core.errors import ErrorCategory, GatewayError
from scalix_callbacks.store.errors import StoreLost
from scalix_callbacks.web.own_routes import NO_STORE, segments_of, unavailable
from scalix_callbacks.web.query import name_of


class FindsTraces(Protocol):
    """`Traces`. Raises StoreLost."""

    async def find(self, id: str) -> list[dict[str, Any]]: ...


def trace_page(traces: FindsTraces | None) -> ASGIApp:
    """`{"id", "traces": [{…, "steps": […]}]}`, the oldest first.

    The id is percent-encoded: our `x-scalix-request-id`, a call's id, or one that clients chose,
    which may name several requests.
    """

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        id = name_of("/".join(segments_of(scope)[1:]), "id")  # slashes of an id may have come as they are
        if traces is None:
            raise GatewayError(
                ErrorCategory.NOT_FOUND,
                "No traces are kept: SCALIX_TRACE_MB is 0, or there is no Redis to keep them.",
            )
        try:
            found = await traces.find(id)
        except StoreLost:
            raise unavailable("Traces cannot be read right now: Redis does not answer.") from None
        if not found:
            raise GatewayError(
                ErrorCategory.NOT_FOUND,
                "No trace has this id. It is written within a few seconds, and kept for a day at most.",
            )
        await JSONResponse({"id": id, "traces": found}, headers=NO_STORE)(scope, receive, send)

    return app
