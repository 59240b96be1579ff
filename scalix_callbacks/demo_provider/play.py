"""Playing a script on a connection."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from scalix_callbacks.demo_provider.answer import Choice, in_sending_order, make_choices
from scalix_callbacks.demo_provider.connection import Connection
from scalix_callbacks.demo_provider.dialects.dialect import Dialect
from scalix_callbacks.demo_provider.dialects.recorded import Recording
from scalix_callbacks.demo_provider.embeddings_wire import embeddings_body
from scalix_callbacks.demo_provider.errors import BadRequest
from scalix_callbacks.demo_provider.model_request import Endpoint, ModelRequest
from scalix_callbacks.demo_provider.script import Breakdown, BreakdownKind, Script
from scalix_callbacks.demo_provider.tally import Outcome
from scalix_callbacks.demo_provider.usage import Usage, usage_of
from scalix_callbacks.demo_provider.wire import JSON_LINES, AnswerHead, Wire

MAX_TOKENS_IN_ALL = 200_000

_TOKENS_BETWEEN_BREATHS = 32
"""A stream without delays lets others run, and looks whether its client is there, this often."""

_JSON = {"content-type": "application/json"}
_NO_HEADERS: Mapping[str, str] = {}
_GARBAGE = b'{"demo": this is no JSON'


@dataclass(slots=True)
class Meter:
    """What a call has cost so far; filled in while it is played."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    outcome: Outcome = Outcome.OK
    http_status: int | None = None
    reported_usage: Mapping[str, Any] | None = None


class Player:
    """Plays one script as the answer to one request."""

    def __init__(
        self, script: Script, dialect: Dialect, request: ModelRequest, head: AnswerHead, meter: Meter
    ) -> None:
        self._script = script
        self._dialect = dialect
        self._request = request
        self._head = head
        self._meter = meter

    async def play(self, connection: Connection) -> None:
        """Answer, or fail, as scripted. A cut returns with the answer incomplete, whereupon the server drops
        the connection.

        Raises: BadRequest, for an answer longer than 200,000 tokens over all choices; HungUp.
        """
        script = self._script
        choices = make_choices(script, self._request.choices, self._request.max_tokens)
        if sum(len(choice.tokens) for choice in choices) > MAX_TOKENS_IN_ALL:
            raise BadRequest(f"The answer would be longer than {MAX_TOKENS_IN_ALL} tokens.", param="n")
        if script.delay_before_s:
            await connection.pause(script.delay_before_s)
        if script.hang:
            await connection.pause(None)
        if script.failure is not None:
            await self._send_recorded(connection, self._recorded(script.failure))
        elif script.status >= 400:
            await self._fail(connection, script.status)
        elif script.garbage:
            await self._send_garbage(connection)
        elif self._request.is_stream:
            await self._stream(connection, choices)
        else:
            await self._send_whole(connection, choices)

    async def _fail(self, connection: Connection, status: int) -> None:
        recording = self._dialect.recorded.of_status(status, model=self._request.model)
        if self._script.error is not None:
            recording = Recording(status, self._script.error, recording.headers)
        await self._send_recorded(connection, recording)

    def _recorded(self, name: str) -> Recording:
        return self._dialect.recorded.named(name, model=self._request.model)

    async def _send_recorded(self, connection: Connection, recording: Recording) -> None:
        """A failure told with status 200 comes as a stream's only event, if the client asked for a stream."""
        self._meter.outcome = Outcome.ERROR
        if recording.status == 200 and self._request.is_stream:
            wire = self._wire()
            await self._start(connection, 200, {**_stream_headers(wire), **recording.headers})
            await connection.finish(wire.failure(recording.body))
        else:
            body = orjson.dumps(recording.body)
            await self._send_json(connection, recording.status, body, recording.headers)

    async def _send_garbage(self, connection: Connection) -> None:
        self._meter.outcome = Outcome.ERROR
        if self._request.is_stream:
            wire = self._wire()
            await self._start(connection, 200, _stream_headers(wire))
            is_lines = wire.media_type == JSON_LINES
            await connection.finish(_GARBAGE + b"\n" if is_lines else b"data: " + _GARBAGE + b"\n\n")
        else:
            await self._send_json(connection, 200, _GARBAGE)

    async def _send_whole(self, connection: Connection, choices: tuple[Choice, ...]) -> None:
        breakdown = self._script.breakdown
        tokens = sum(len(choice.tokens) for choice in choices)
        if breakdown is not None and breakdown.after_tokens > tokens:
            breakdown = None
        sent = tokens if breakdown is None else breakdown.after_tokens
        if self._script.delay_per_token_s and sent:
            await connection.pause(self._script.delay_per_token_s * sent)
        match breakdown:
            case Breakdown(kind=BreakdownKind.FAIL):
                await self._fail(connection, 500)
            case Breakdown(kind=BreakdownKind.HANG):
                await connection.pause(None)
            case Breakdown(kind=BreakdownKind.CUT):
                await self._cut_whole(connection, self._whole_body(choices, tokens), breakdown.after_tokens)
            case None:
                body = self._whole_body(choices, tokens)
                await self._send_json(connection, 200, orjson.dumps(body))
                self._meter.prompt_tokens = self._request.prompt_tokens
                self._meter.completion_tokens = tokens
                self._meter.reported_usage = body.get("usage")

    async def _cut_whole(self, connection: Connection, body: Mapping[str, Any], after_tokens: int) -> None:
        raw = orjson.dumps(body)
        await self._start(connection, 200, _JSON | {"content-length": str(len(raw))})
        self._meter.prompt_tokens = self._request.prompt_tokens
        self._meter.outcome = Outcome.CUT
        if after_tokens:
            await connection.send(raw[: len(raw) // 2])

    def _whole_body(self, choices: tuple[Choice, ...], tokens: int) -> Mapping[str, Any]:
        usage = None
        if self._script.report_usage:
            usage = usage_of(self._request.prompt_tokens, tokens, self._script.usage)
        if self._dialect.endpoint is Endpoint.EMBEDDINGS:
            return embeddings_body(self._request, usage)
        return self._wire().whole(choices, usage)

    async def _stream(self, connection: Connection, choices: tuple[Choice, ...]) -> None:
        wire = self._wire()
        meter = self._meter
        breakdown = self._script.breakdown
        await self._start(connection, 200, _stream_headers(wire))
        meter.prompt_tokens = self._request.prompt_tokens
        if breakdown is not None and breakdown.after_tokens == 0:
            await self._break_down(connection, wire, breakdown.kind)
            return
        if opening := wire.opening(choices):
            await connection.send(opening)
        for index, token in in_sending_order(choices):
            if self._script.delay_per_token_s:
                await connection.pause(self._script.delay_per_token_s)
            elif meter.completion_tokens % _TOKENS_BETWEEN_BREATHS == _TOKENS_BETWEEN_BREATHS - 1:
                await connection.pause(0)
            await connection.send(wire.token(index, token))
            meter.completion_tokens += 1
            if breakdown is not None and breakdown.after_tokens == meter.completion_tokens:
                await self._break_down(connection, wire, breakdown.kind)
                return
        await self._end_stream(connection, wire, choices)

    async def _break_down(self, connection: Connection, wire: Wire, kind: BreakdownKind) -> None:
        # When the next token is due, as some clients drop what they have not read when a connection is cut.
        if self._script.delay_per_token_s:
            await connection.pause(self._script.delay_per_token_s)
        match kind:
            case BreakdownKind.FAIL:
                self._meter.outcome = Outcome.FAILED_MIDSTREAM
                error = self._script.error
                if error is None:
                    error = self._dialect.recorded.of_status(500, model=self._request.model).body
                await connection.finish(wire.failure(error))
            case BreakdownKind.CUT:
                self._meter.outcome = Outcome.CUT
            case BreakdownKind.HANG:
                await connection.pause(None)

    async def _end_stream(self, connection: Connection, wire: Wire, choices: tuple[Choice, ...]) -> None:
        usage = None
        if self._script.report_usage:
            usage = usage_of(self._request.prompt_tokens, self._meter.completion_tokens, self._script.usage)
        self._meter.reported_usage = wire.told_in_stream(usage)
        await connection.finish(wire.closing(choices, usage))

    def _wire(self) -> Wire:
        promised: Usage | None = None
        if self._script.report_usage:
            promised = usage_of(self._request.prompt_tokens, 0, self._script.usage)
        return self._dialect.wire(self._head, self._request, promised)

    async def _send_json(
        self, connection: Connection, status: int, body: bytes, headers: Mapping[str, str] = _NO_HEADERS
    ) -> None:
        await self._start(connection, status, {**_JSON, **headers, "content-length": str(len(body))})
        await connection.finish(body)

    async def _start(self, connection: Connection, status: int, headers: Mapping[str, str]) -> None:
        own = {"x-request-id": f"req_{self._head.answer_id}", **headers}
        scripted = {name.lower(): value for name, value in self._script.headers.items()}
        await connection.start(status, own | scripted)
        self._meter.http_status = status


def _stream_headers(wire: Wire) -> dict[str, str]:
    return {"content-type": wire.media_type, "cache-control": "no-cache"}
