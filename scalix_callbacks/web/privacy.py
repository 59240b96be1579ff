"""`/v1/user/export`, `DELETE /v1/user`, `/v1/user/consent`: a user's data shown, erased and agreed to."""

import asyncio
from collections.abc import Callable, Iterator

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from scalix_callbacks.core.bodies import parse_body
from scalix_callbacks.core.errors import invalid
from scalix_callbacks.erasing import Eraser
from scalix_callbacks.ledger.accounts import Accounts
from scalix_callbacks.ledger.audit import Actor
from scalix_callbacks.ledger.export import Export
from scalix_callbacks.ledger.told import consent_data
from scalix_callbacks.web.admin_body import Fields
from scalix_callbacks.web.hang_up import hung_up
from scalix_callbacks.web.own_routes import NO_STORE, ReadsBody, caller_of, translated


def own_export(export: Export) -> ASGIApp:
    """Of whomever the request is for."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await stream_export(export, _user(scope), scope, receive, send)

    return app


def by_method(read: ASGIApp, delete: ASGIApp) -> ASGIApp:
    """One address, read or deleted."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await (delete if scope["method"] == "DELETE" else read)(scope, receive, send)

    return app


def erase_self(eraser: Eraser, changed: Callable[[], None]) -> ASGIApp:
    """Erases whomever the request is for; `changed` is told, so that this worker sees it at once."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        user_id = _user(scope)
        erased = await translated(eraser.erase(user_id, _actor(scope)))
        changed()
        await JSONResponse(erased.to_json(user_id), headers=NO_STORE)(scope, receive, send)

    return app


def consent(accounts: Accounts, read_body: ReadsBody, changed: Callable[[], None]) -> ASGIApp:
    """`{"consent": true | false}` of whomever the request is for."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        user_id = _user(scope)
        consents = Fields(parse_body(await read_body(scope, receive)), ("consent",)).flag("consent")
        acting = accounts.acting_as(_actor(scope))
        account = await translated(asyncio.to_thread(acting.set_consent, user_id, consents))
        changed()
        await JSONResponse(consent_data(account), headers=NO_STORE)(scope, receive, send)

    return app


async def stream_export(export: Export, user_id: str, scope: Scope, receive: Receive, send: Send) -> None:
    """All that is kept about a user, a page at a time, each read by a thread.

    Raises:
        GatewayError: nothing is known of this user, or the database fails; later on, the answer breaks off.
    """
    pieces = export.pieces(user_id)
    piece = await translated(asyncio.to_thread(_next, pieces))
    headers = [
        (b"content-type", b"application/json"),
        (b"content-disposition", b'attachment; filename="export.json"'),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    is_head = scope["method"] == "HEAD"
    gone = asyncio.create_task(hung_up(receive))
    try:
        while piece is not None and not is_head and not gone.done():
            await send({"type": "http.response.body", "body": piece.encode(), "more_body": True})
            piece = await translated(asyncio.to_thread(_next, pieces))
    finally:
        gone.cancel()
    await send({"type": "http.response.body", "body": b""})


def _next(pieces: Iterator[str]) -> str | None:
    return next(pieces, None)


def _user(scope: Scope) -> str:
    caller = caller_of(scope)
    if caller.is_operator:
        raise invalid("The master key has no account: name the user in X-User-ID.", param="X-User-ID")
    return caller.id


def _actor(scope: Scope) -> Actor:
    """The operator that acts for a user has no key of that user."""
    return Actor.OPERATOR if caller_of(scope).key_id is None else Actor.USER
