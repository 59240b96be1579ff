"""The life of one call to the demo provider."""

import hmac
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

import orjson
from starlette.types import Receive, Scope, Send

from scalix_callbacks.demo_provider.connection import BodyTooLarge, Connection, HungUp
from scalix_callbacks.demo_provider.dialects.dialect import Dialect, Incoming
from scalix_callbacks.demo_provider.directives import script_in_message, script_of_model
from scalix_callbacks.demo_provider.errors import BadRequest
from scalix_callbacks.demo_provider.model_request import ModelRequest, read_object, top_level_keys
from scalix_callbacks.demo_provider.play import Meter, Player
from scalix_callbacks.demo_provider.request_log import LoggedRequest, RequestLog
from scalix_callbacks.demo_provider.script import Script, ScriptError
from scalix_callbacks.demo_provider.script_queue import ScriptQueue
from scalix_callbacks.demo_provider.tally import Billed, Outcome, Tally
from scalix_callbacks.demo_provider.wire import AnswerHead

MAX_BODY_BYTES = 32 * 1024 * 1024


@dataclass(slots=True)
class _Call:
    """What is known of a call so far."""

    dialect: Dialect
    at: float
    began: float
    generation: int
    headers: Mapping[str, str]
    meter: Meter = field(default_factory=Meter)
    model: str | None = None
    is_stream: bool = False
    keys: tuple[str, ...] = ()
    tag: str | None = None


class Provider:
    """Answers model calls by scripts and bills them. `expected_key` None takes any Authorization header."""

    def __init__(self, expected_key: str | None = None) -> None:
        self.tally = Tally()
        self.scripts = ScriptQueue()
        self.requests = RequestLog()
        self.in_flight = 0
        self._expected_key = expected_key

    async def answer(self, dialect: Dialect, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call, to the end or to whatever its script plans, and bill it."""
        call = _Call(dialect, time.time(), time.monotonic(), self.tally.generation, read_headers(scope))
        connection = Connection(receive, send)
        self.in_flight += 1
        try:
            await self._answer(call, scope, connection)
        except HungUp:
            call.meter.outcome = Outcome.HANG_UP
            self._bill(call)
        else:
            # Nothing is awaited since the last byte was written: who reads it finds the call billed.
            self._bill(call)
        finally:
            self.in_flight -= 1
            connection.close()

    def refusal(
        self, dialect: Dialect, headers: Mapping[str, str], query: Mapping[str, str]
    ) -> BadRequest | None:
        """Why these headers do not open the door, or None if they do."""
        if dialect.credential is None:
            return None
        given = dialect.credential(headers, query)
        if given is None:
            return BadRequest("", status=401, failure="missing_key")
        expected = self._expected_key
        if expected is None or hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode()):
            return None
        return BadRequest("", status=401, failure="invalid_key")

    async def _answer(self, call: _Call, scope: Scope, connection: Connection) -> None:
        answer_id = uuid.uuid4().hex
        dialect = call.dialect
        try:
            try:
                raw = await connection.read_body(MAX_BODY_BYTES)
            except BodyTooLarge:
                raise BadRequest(f"The body is above {MAX_BODY_BYTES} bytes.", status=413) from None
            self.requests.add(LoggedRequest(call.at, scope["method"], scope["path"], call.headers, raw))
            query = read_query(scope)
            refusal = self.refusal(dialect, call.headers, query)
            if refusal is not None:
                raise refusal
            place = scope.get("path_params", {}).get("place", "")
            request = _understand(call, Incoming(call.headers, query, place, read_object(raw)))
            script = self._script(request)
            call.tag = script.tag
            head = AnswerHead(answer_id, request.model, int(call.at))
            await Player(script, dialect, request, head, call.meter).play(connection)
        except BadRequest as bad:
            call.meter.outcome = Outcome.ERROR
            told = dialect.recorded.refusal(bad)
            body = orjson.dumps(told.body)
            await connection.start(
                told.status,
                {
                    "content-type": "application/json",
                    "x-request-id": f"req_{answer_id}",
                    **told.headers,
                    "content-length": str(len(body)),
                },
            )
            call.meter.http_status = told.status
            await connection.finish(body)

    def _script(self, request: ModelRequest) -> Script:
        queued = self.scripts.take(request.model, request.last_user_text)
        if queued is not None:
            return queued
        try:
            in_message = script_in_message(request.last_user_text)
            return script_of_model(request.model) if in_message is None else in_message
        except ScriptError as error:
            raise BadRequest(f"Bad demo directive: {error}.") from None

    def _bill(self, call: _Call) -> None:
        meter = call.meter
        billed = Billed(
            at=call.at,
            model=call.model,
            endpoint=call.dialect.endpoint,
            stream=call.is_stream,
            prompt_tokens=meter.prompt_tokens,
            completion_tokens=meter.completion_tokens,
            outcome=meter.outcome,
            http_status=meter.http_status,
            duration_ms=round((time.monotonic() - call.began) * 1_000, 3),
            request_keys=call.keys,
            header_names=tuple(sorted(call.headers)),
            reported_usage=meter.reported_usage,
            tag=call.tag,
        )
        self.tally.add(billed, generation=call.generation)


def read_headers(scope: Scope) -> dict[str, str]:
    """The headers of a request by lower-case name; those sent more than once are joined by commas."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name = sys.intern(raw_name.decode("latin-1"))
        value = raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def read_query(scope: Scope) -> dict[str, str]:
    """The parameters in the address; of those sent more than once the last."""
    return dict(parse_qsl(scope.get("query_string", b"").decode("latin-1"), max_num_fields=100))


def _understand(call: _Call, incoming: Incoming) -> ModelRequest:
    call.keys = top_level_keys(incoming.body)
    model = incoming.body.get("model")
    call.model = sys.intern(model[:300]) if isinstance(model, str) else None
    request = call.dialect.read(incoming)
    call.model = sys.intern(request.model)
    call.is_stream = request.is_stream
    return request
