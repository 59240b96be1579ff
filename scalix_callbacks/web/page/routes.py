"""`/scalix/`: who may see what of the status page, and the way in and out."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from starlette.responses import JSONResponse, RedirectResponse
from starlette.types import Message, Receive, Scope, Send

from scalix_callbacks.core.bodies import parse_body, too_large
from scalix_callbacks.core.caller import Caller
from scalix_callbacks.core.claims import Claims, read_claims
from scalix_callbacks.core.errors import ErrorCategory, GatewayError, invalid
from scalix_callbacks.core.moments import iso_of
from scalix_callbacks.core.places import Network, client_address, is_within, network_of
from scalix_callbacks.web.own_routes import ReadsBody, peer_of
from scalix_callbacks.web.page.details import Details
from scalix_callbacks.web.page.files import SECURITY_HEADERS, STATIC, Files
from scalix_callbacks.web.page.overview import Overview
from scalix_callbacks.web.page.session import Session, Sessions, Tries, cookie
from scalix_callbacks.web.query import query_of, text_of

MAX_LOGIN_BYTES = 8_192
PAGE_HEADER = b"x-scalix-page"
CSRF_HEADER = b"x-scalix-csrf"
"""Browsers let no other site send either without asking us first, and we do not answer."""
PROTO_HEADER = b"x-forwarded-proto"

_log = logging.getLogger("scalix.page")


class KnowsCallers(Protocol):
    """`Gateway`."""

    def is_operators(self, claims: Claims) -> bool: ...

    async def identify(self, claims: Claims, peer: str | None = None) -> Caller: ...


class StatusPage:
    """The routes as one ASGI application. The page only reads: it has no way to change anything but the
    session itself, so that what a browser can be tricked into is nothing.

    Args:
        trusted: the networks of proxies that are believed about who comes, and whether over TLS.
    """

    def __init__(
        self,
        *,
        callers: KnowsCallers,
        sessions: Sessions,
        tries: Tries,
        overview: Overview,
        details: Details,
        read_body: ReadsBody,
        trusted: Sequence[Network],
    ) -> None:
        self._callers = callers
        self._sessions = sessions
        self._tries = tries
        self._overview = overview
        self._details = details
        self._read_body = read_body
        self._trusted = trusted
        self._files = Files()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["path"]:
            case "/scalix":
                await RedirectResponse("/scalix/", 308)(scope, receive, send)
            case "/scalix/":
                await self._files.index(scope, receive, send)
            case "/scalix/login":
                await self._login(scope, receive, send)
            case "/scalix/logout":
                await self._logout(scope, receive, send)
            case path if path.startswith(STATIC):
                await self._files.file(scope, receive, send)
            case "/scalix/page/session":
                # To have none is no error: it is how the page finds out that it must ask for the key.
                await _answer(_session_object(self._session(scope)), scope, receive, send)
            case path:
                await self._check_allowed(scope)
                await _answer(await self._told(path, scope), scope, receive, send)

    async def _told(self, path: str, scope: Scope) -> dict[str, Any]:
        match path:
            case "/scalix/page/overview":
                return await self._overview.told()
            case "/scalix/page/user":
                return await self._details.user(_id(scope))
            case _:
                return await self._details.call(_id(scope))

    async def _check_allowed(self, scope: Scope) -> None:
        """By the session's cookie or the operator's key.

        Raises:
            GatewayError: INVALID_API_KEY or PERMISSION_DENIED.
        """
        if self._session(scope) is not None:
            return
        claims = read_claims(scope["headers"], None)
        if claims.credential is None:
            raise GatewayError(
                ErrorCategory.INVALID_API_KEY,
                "Log in at /scalix/, or send the operator's key in the Authorization header.",
            )
        if not (await self._callers.identify(claims, peer_of(scope))).is_operator:
            raise GatewayError(ErrorCategory.PERMISSION_DENIED)

    async def _login(self, scope: Scope, receive: Receive, send: Send) -> None:
        _refuse_other_sites(scope)
        address = self._address(scope)
        if (wait_s := self._tries.take(address)) is not None:
            raise GatewayError(
                ErrorCategory.RATE_LIMIT_EXCEEDED,
                "Too many attempts to log in from your address. Try again in a few minutes.",
                retry_after_s=wait_s,
            )
        body = parse_body(await self._read_body(scope, _bounded(receive)))
        key = body.get("key")
        if set(body) != {"key"} or not isinstance(key, str):
            raise invalid('Send {"key": "…"} with the operator\'s key, and nothing else.', param="key")
        if not self._callers.is_operators(Claims(credential=key)):
            network = network_of(address) or "an unknown address"
            _log.warning("A login to the status page from %s was refused.", network)
            raise GatewayError(
                ErrorCategory.INVALID_API_KEY,
                "This is not the operator's key. Users' keys do not open this page; the key is the one set as"
                " LITELLM_MASTER_KEY, or lies in the data directory in the file master_key.",
            )
        self._tries.forget(address)
        value = self._sessions.begin()
        headers = {"set-cookie": cookie(value, is_secure=self._is_secure(scope))}
        session = self._sessions.read(headers["set-cookie"].partition(";")[0])
        await _answer(_session_object(session), scope, receive, send, headers)

    async def _logout(self, scope: Scope, receive: Receive, send: Send) -> None:
        _refuse_other_sites(scope)
        session = self._session(scope)
        sent = dict(scope["headers"]).get(CSRF_HEADER, b"").decode("latin-1")
        if session is not None and sent != session.csrf:
            raise GatewayError(
                ErrorCategory.PERMISSION_DENIED, "This request does not come from the status page."
            )
        headers = {"set-cookie": cookie("", is_secure=self._is_secure(scope), lasts_s=0)}
        await _answer({"session": None}, scope, receive, send, headers)

    def _session(self, scope: Scope) -> Session | None:
        cookies = [value for name, value in scope["headers"] if name == b"cookie"]
        return self._sessions.read("; ".join(each.decode("latin-1") for each in cookies))

    def _address(self, scope: Scope) -> str:
        """Of whoever tries: behind a proxy of ours not that one's, or a stranger could lock all out."""
        forwarded_for = read_claims(scope["headers"], None).forwarded_for
        return client_address(peer_of(scope), forwarded_for, self._trusted) or ""

    def _is_secure(self, scope: Scope) -> bool:
        """Whether the browser speaks TLS, with us or with a proxy of ours."""
        if scope.get("scheme") == "https":
            return True
        said = [value for name, value in scope["headers"] if name == PROTO_HEADER]
        return bool(said) and said[-1].strip() == b"https" and is_within(peer_of(scope), self._trusted)


def _refuse_other_sites(scope: Scope) -> None:
    headers: Mapping[bytes, bytes] = dict(scope["headers"])
    site = headers.get(b"sec-fetch-site", b"same-origin")
    if PAGE_HEADER not in headers or site != b"same-origin":
        raise GatewayError(
            ErrorCategory.PERMISSION_DENIED, "Log in and out on the page itself, at /scalix/ of this gateway."
        )


def _bounded(receive: Receive) -> Receive:
    """Nobody is known yet: no more is read than a login has."""
    read = 0

    async def next_message() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > MAX_LOGIN_BYTES:
            raise too_large(MAX_LOGIN_BYTES)
        return message

    return next_message


def _session_object(session: Session | None) -> dict[str, Any]:
    if session is None:
        return {"session": None}
    return {"session": {"ends_at": iso_of(session.ends_at_s), "csrf": session.csrf}}


def _id(scope: Scope) -> str:
    found = text_of(query_of(scope), "id")
    if found is None:
        raise invalid("id must be named.", param="id")
    return found


async def _answer(
    body: Mapping[str, Any],
    scope: Scope,
    receive: Receive,
    send: Send,
    headers: Mapping[str, str] | None = None,
) -> None:
    kept = {**SECURITY_HEADERS, "cache-control": "no-store", **(headers or {})}
    await JSONResponse(body, headers=kept)(scope, receive, send)
