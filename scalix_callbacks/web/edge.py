"""The edge: the first to see a request, before any of LiteLLM's own machinery."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol
from urllib.parse import parse_qsl
from uuid import uuid4

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scalix_callbacks.core.bodies import parse_body, too_large
from scalix_callbacks.core.call import CALL_IN_SCOPE, CURRENT_CALL, Call
from scalix_callbacks.core.caller import Caller
from scalix_callbacks.core.claims import Claims, read_claims, refuse_query_credentials
from scalix_callbacks.core.errors import ErrorCategory, GatewayError, invalid, render, response_headers
from scalix_callbacks.core.headers import for_litellm
from scalix_callbacks.core.record import Outcome
from scalix_callbacks.core.routes import Access, Endpoint, Route, find_route
from scalix_callbacks.core.simulation import simulation_of
from scalix_callbacks.core.trace import Step, Trace
from scalix_callbacks.core.usage import UNKNOWN
from scalix_callbacks.gateway import Gateway
from scalix_callbacks.metering import Meter
from scalix_callbacks.web.answer import Answer
from scalix_callbacks.web.call_queue import CallQueue, ClientGone
from scalix_callbacks.web.own_routes import peer_of

BODY_TIMEOUT_S = 60.0
MAX_QUERY_FIELDS = 100
RESTART_S = 10.0
_UNTRACED = frozenset({Access.PUBLIC, Access.PAGE})

_log = logging.getLogger("scalix.edge")


class Counts(Protocol):
    """`RequestMetrics`."""

    def opened(self) -> None: ...

    def closed(self) -> None: ...

    def passed_on(self, took_s: float) -> None: ...

    def answered(
        self, call: Call, endpoint: Endpoint | None, error: ErrorCategory | None, took_s: float
    ) -> None: ...


class Tells(Protocol):
    """`Traced`."""

    @property
    def is_wanted(self) -> bool: ...

    def over(self, call: Call) -> None: ...


class Edge:
    """ASGI application around LiteLLM's.

    Args:
        litellm: LiteLLM's app.
        own: our own routes by path; `/v1/models/…` is under `/v1/models/{id}`. They are called like
            ASGI applications, with the Call in the scope.
        exists: whether LiteLLM has a route for (method, path).
        counts: is told of every request; None: nobody counts.
        reads_metrics: whether a request without any key may read /metrics.
        traced: is told of every call, and of what failed elsewhere; None: nobody wants to know.
        simulates: whether a caller may ask for failures of providers.
        queue: where users' calls wait for their turn under overload; None: nobody waits.
    """

    def __init__(
        self,
        litellm: ASGIApp,
        *,
        gateway: Gateway,
        meter: Meter,
        own: Mapping[str, ASGIApp],
        exists: Callable[[Scope], bool],
        max_body_bytes: int,
        body_timeout_s: float = BODY_TIMEOUT_S,
        counts: Counts | None = None,
        reads_metrics: Callable[[Scope], bool] = lambda scope: False,
        traced: Tells | None = None,
        simulates: bool = False,
        queue: CallQueue | None = None,
    ) -> None:
        self._litellm = litellm
        self._gateway = gateway
        self._meter = meter
        self._own = own
        self._exists = exists
        self._max_body_bytes = max_body_bytes
        self._body_timeout_s = body_timeout_s
        self._counts = counts
        self._reads_metrics = reads_metrics
        self._traced = traced if traced is not None and traced.is_wanted else None
        self._simulates = simulates
        self._queue = queue

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "http":
                await self._http(scope, receive, send)
            case "websocket":
                await self._websocket(scope, receive, send)
            case _:
                await self._litellm(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = Call(request_id=uuid4().hex, started_at_s=time.time(), is_at_edge=True)
        token = CURRENT_CALL.set(call)
        answer = Answer(send, call, is_head=scope["method"] == "HEAD")
        route = find_route(scope["path"])
        endpoint = None if route is None else route.endpoint
        if self._traced is not None and (route is None or route.access not in _UNTRACED):
            call.trace = Trace(time.perf_counter, route=None if route is None else route.path)
        self._begin(call, answer, endpoint)
        try:
            await self._serve(call, scope, receive, answer, route)
            await answer.complete()
        except GatewayError as error:
            await answer.refuse(error)
        except ClientGone:
            await answer.refuse(GatewayError(ErrorCategory.CLIENT_CLOSED))
        except asyncio.CancelledError:
            # The server cancels what outlasts its stop, and would itself answer with an error 500.
            self._end(call, answer)
            await answer.refuse(_stopping())
        except Exception as error:
            # The outermost place: whatever LiteLLM or we did not expect must not take the server along.
            _log.exception("unexpected error request_id=%s", call.request_id, exc_info=error)
            await answer.refuse(GatewayError(ErrorCategory.INTERNAL))
        finally:
            self._end(call, answer)
            answer.end()
            self._told(call, answer, endpoint)
            if self._counts is not None and endpoint is not None:
                self._counts.closed()
            CURRENT_CALL.reset(token)

    def _begin(self, call: Call, answer: Answer, endpoint: Endpoint | None) -> None:
        """Counts a request when it is answered; of those for a model also how many are open."""
        counts, arrived_s = self._counts, time.perf_counter()
        call.work_began_s = arrived_s
        if counts is None:
            return
        if endpoint is not None:
            counts.opened()
        answer.on_end = lambda: counts.answered(
            call, endpoint, answer.category, time.perf_counter() - arrived_s
        )

    def _told(self, call: Call, answer: Answer, endpoint: Endpoint | None) -> None:
        trace = call.trace
        if trace is None or self._traced is None or (endpoint is None and answer.category is None):
            return
        trace.status = answer.status
        trace.category = None if answer.category is None else answer.category.value
        trace.note(Step.ENDED)
        self._traced.over(call)

    def _end(self, call: Call, answer: Answer) -> None:
        """Settles what no hook has settled: LiteLLM calls none when, for one, the client left before the
        first chunk of a stream."""
        if call.ask is None or call.is_ending:
            return
        prompt_only = UNKNOWN.completed(prompt_tokens=call.ask.prompt_tokens, completion_tokens=0)
        if answer.status is not None and answer.status >= 400 and answer.status != 499:
            self._meter.settle_soon(call, Outcome.ERROR, category=answer.category)
        elif answer.status is None or answer.status == 499 or call.is_stream:
            self._meter.settle_soon(call, Outcome.ABORTED, prompt_only)
        else:
            self._meter.settle_soon(call, Outcome.OK, prompt_only)

    async def _serve(
        self, call: Call, scope: Scope, receive: Receive, answer: Answer, route: Route | None
    ) -> None:
        _refuse_query_credentials(scope)
        claims = read_claims(scope["headers"], route)
        call.client_request_id = claims.client_request_id
        call.cache_control = claims.cache_control
        call.sender = claims.sender
        if route is not None and scope["method"] not in route.methods:
            raise GatewayError(
                ErrorCategory.METHOD_NOT_ALLOWED, headers={"allow": ", ".join(sorted(route.methods))}
            )
        if route is not None and route.access is Access.PUBLIC:
            # The operator's `/health` is LiteLLM's own, which calls every model.
            if route.path != "/health" or not self._gateway.is_operators(claims):
                await self._own[route.path]({**scope, CALL_IN_SCOPE: call}, receive, answer)
                return
            route = None
        is_page = route is not None and route.access is Access.PAGE
        if route is not None and (is_page or (route.path == "/metrics" and self._is_open(scope, claims))):
            await self._own[route.path]({**scope, CALL_IN_SCOPE: call}, receive, answer)
            return
        caller = await self._gateway.identify(claims, peer_of(scope))
        # For the answer's headers, should it be a refusal; replaced below where the operator acts for a user.
        call.caller = caller
        call.note(Step.IDENTIFIED)
        self._gateway.check_access(caller, route, exists=lambda: self._exists(scope))
        body: dict[str, Any] | None = None
        if route is not None and route.access is Access.USER:
            if self._simulates and route.endpoint is not None and claims.simulate is not None:
                call.simulated = simulation_of(claims.simulate)
            raw = parse_body(await self._body_of(call, scope, receive)) if route.endpoint else None
            call.asked_model = asked if isinstance(asked := (raw or {}).get("model"), str) else None
            if caller.is_operator:
                call.caller = caller = await self._gateway.act_for(claims, (raw or {}).get("user"))
            if route.endpoint is not None and raw is not None:
                screened = self._gateway.admit_body(caller, route.endpoint, raw)
                call.note(Step.SCREENED)
                if self._queue is not None and caller.tier is not None:
                    waited_s = await self._queue.enter(caller.tier, receive, answer)
                    call.work_began_s += waited_s
                    if waited_s:
                        call.note(Step.WAITED, {"waited_ms": round(waited_s * 1_000, 2)})
                screened = await self._gateway.with_context(call, caller, route, screened)
                if call.engine is not None:
                    call.note(Step.CONTEXT_BUILT)
                body = await self._meter.admit(call, route.endpoint, screened)
        await self._pass_on(call, caller, scope, receive, answer, route, body)

    async def _pass_on(
        self,
        call: Call,
        caller: Caller,
        scope: Scope,
        receive: Receive,
        answer: Answer,
        route: Route | None,
        body: dict[str, Any] | None,
    ) -> None:
        own = self._own.get(route.path) if route is not None else None
        raw = None if body is None else orjson.dumps(body)
        inner = {
            **scope,
            CALL_IN_SCOPE: call,
            # LiteLLM takes fields of the query for fields of the body, and `model` above the body's.
            # Our own routes read theirs.
            "query_string": scope["query_string"] if own or (caller.is_operator and body is None) else b"",
            # Some of our addresses are none of LiteLLM's.
            **({"path": route.path, "raw_path": route.path.encode()} if route and route.engine else {}),
            "headers": for_litellm(
                scope["headers"],
                is_operator=caller.is_operator,
                content_length=None if raw is None else len(raw),
            ),
        }
        answer.is_litellms = own is None
        if body is not None and self._counts is not None:
            self._counts.passed_on(time.perf_counter() - call.work_began_s)
        if body is not None:
            call.note(Step.PASSED_ON)
        await (own or self._litellm)(inner, receive if raw is None else _replay(raw, receive), answer)

    def _is_open(self, scope: Scope, claims: Claims) -> bool:
        """Whether this request needs no key; one that brings a key is judged by it."""
        return claims.is_empty and self._reads_metrics(scope)

    async def _body_of(self, call: Call, scope: Scope, receive: Receive) -> bytes:
        began_s = time.perf_counter()
        body = await self.read_body(scope, receive)
        call.work_began_s += time.perf_counter() - began_s
        call.note(Step.BODY_READ, {"bytes": len(body)})
        return body

    async def read_body(self, scope: Scope, receive: Receive) -> bytes:
        """The whole body, bounded in size and time.

        Raises:
            GatewayError: REQUEST_TOO_LARGE, or INVALID_REQUEST for what is no plain JSON.
            ClientGone: it never came.
        """
        headers = dict(scope["headers"])
        if headers.get(b"content-encoding", b"identity").lower() not in (b"identity", b""):
            raise invalid("The request body is compressed. Send it without Content-Encoding.")
        content_type = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
        if content_type not in (b"", b"application/json") and not content_type.endswith(b"+json"):
            raise invalid("The request body must be JSON. Send it with Content-Type: application/json.")
        declared = headers.get(b"content-length", b"0")
        if not declared.isdigit() or int(declared[:20]) > self._max_body_bytes:
            raise too_large(self._max_body_bytes)
        try:
            async with asyncio.timeout(self._body_timeout_s):
                return await _collect(receive, self._max_body_bytes)
        except TimeoutError:
            raise invalid(
                f"The request body did not arrive within {self._body_timeout_s:g} s. Send it again."
            ) from None

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """LiteLLM's web sockets are the operator's alone."""
        call = Call(request_id=uuid4().hex)
        try:
            _refuse_query_credentials(scope)
            claims = read_claims(scope["headers"], None)
            call.caller = await self._gateway.identify(
                claims, scope["client"][0] if scope.get("client") else None
            )
            self._gateway.check_access(call.caller, None, exists=lambda: True)
        except GatewayError as error:
            await receive()
            await _refuse_websocket(scope, send, error, call.request_id)
            return
        CURRENT_CALL.set(call)
        # With the operator's credential: LiteLLM looks for one before it asks us.
        await self._litellm({**scope, CALL_IN_SCOPE: call}, receive, send)


async def _refuse_websocket(scope: Scope, send: Send, error: GatewayError, request_id: str) -> None:
    """Before the handshake ends it is a request like any other, where the server can answer one."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008})
        return
    headers = {
        "content-type": "application/json",
        "x-scalix-request-id": request_id,
        **response_headers(error),
    }
    raw = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
    await send({"type": "websocket.http.response.start", "status": error.status, "headers": raw})
    body = orjson.dumps({"error": render(error, request_id)})
    await send({"type": "websocket.http.response.body", "body": body})


def _stopping() -> GatewayError:
    return GatewayError(
        ErrorCategory.SERVICE_UNAVAILABLE,
        "The gateway is being restarted, and your request could not be finished. Try it again in a moment.",
        retry_after_s=RESTART_S,
    )


def _refuse_query_credentials(scope: Scope) -> None:
    query = scope["query_string"]
    if not query:
        return
    try:
        fields = parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS)
    except ValueError:
        raise invalid("The address has too many query fields. Send fewer.") from None
    refuse_query_credentials(fields)


async def _collect(receive: Receive, limit: int) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        body += message.get("body", b"")
        if len(body) > limit:
            raise too_large(limit)
        if not message.get("more_body", False):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the new body once, then what the client does next."""
    waiting = [body]

    async def next_message() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return next_message
