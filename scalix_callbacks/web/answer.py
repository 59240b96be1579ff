"""The way back: every answer leaves with our headers, without LiteLLM's, and every error in our form."""

import gzip
import zlib
from collections.abc import Callable, Iterable
from typing import Any

import orjson
from starlette.types import Message, Send

from scalix_callbacks.core.answer_headers import answer_headers
from scalix_callbacks.core.call import Call
from scalix_callbacks.core.errors import ErrorCategory, GatewayError, render, response_headers
from scalix_callbacks.core.routes import Endpoint

MAX_ERROR_BYTES = 256_000
MAX_TOLD = 2_000
_HIDDEN_PREFIXES = (b"x-litellm-", b"llm_provider-", b"x-ratelimit-")
_REPLACED = frozenset(
    {b"x-scalix-request-id", b"x-scalix-tier", b"server", b"request-id", b"x-litellm-cache-key"}
)
_ERROR_FRAMES = (b'data: {"error"', b"event: error\n")
_FRAME_END = b"\n\n"
_CATEGORIES = frozenset(category.value for category in ErrorCategory)

_BY_STATUS = {
    400: ErrorCategory.INVALID_REQUEST,
    401: ErrorCategory.PERMISSION_DENIED,
    402: ErrorCategory.BUDGET_EXCEEDED,
    403: ErrorCategory.PERMISSION_DENIED,
    404: ErrorCategory.NOT_FOUND,
    405: ErrorCategory.METHOD_NOT_ALLOWED,
    408: ErrorCategory.PROVIDER_TIMEOUT,
    409: ErrorCategory.CONFLICT,
    413: ErrorCategory.REQUEST_TOO_LARGE,
    429: ErrorCategory.OVERLOADED,
    499: ErrorCategory.CLIENT_CLOSED,
    502: ErrorCategory.PROVIDER_ERROR,
    503: ErrorCategory.SERVICE_UNAVAILABLE,
    504: ErrorCategory.PROVIDER_TIMEOUT,
}


class Answer:
    """An ASGI `send` that dresses one answer.

    The start is sent with the first body, so that a stream that begins with its error gets the error's
    status. Nothing is late by that: LiteLLM has a stream's first chunk before it starts the response.

    Attributes:
        is_litellms: whoever answers is LiteLLM, whose errors are put in our form; set before it is called.
        has_started: a part of the answer is on its way to the client.
        on_start: called once, before the answer begins, or at its end where it does not.
        on_end: called once, before the client can see the end of the answer, or where there is none.
    """

    def __init__(self, send: Send, call: Call, *, is_head: bool = False) -> None:
        self._send = send
        self._call = call
        self._is_head = is_head
        self._start: Message | None = None
        self._is_error = False
        self._is_stream = False
        self._buffer = bytearray()
        self._has_ended = False
        self.is_litellms = False
        self.has_started = False
        self.status: int | None = None
        self.category: ErrorCategory | None = None
        self.on_start: Callable[[], None] | None = None
        self.on_end: Callable[[], None] | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            # A provider's odd status, such as 300, comes back as LiteLLM's own, with the provider's words.
            least = 400 if self._call.endpoint is None else 300
            self._is_error = self.is_litellms and message["status"] >= least
            self._is_stream = _header(message, b"content-type").startswith(b"text/event-stream")
        elif message["type"] == "http.response.body":
            await self._body(message)
        else:
            await self._send(message)

    async def refuse(self, error: GatewayError) -> None:
        """Answers with an error; a stream that has begun gets it as its last frame."""
        if self._has_ended:
            return
        self._has_ended = True
        self.category = error.category
        self.end()
        told: dict[str, Any] = {"error": render(error, self._call.request_id)}
        if self._call.endpoint is Endpoint.MESSAGES:
            told["type"] = "error"  # which Anthropic's clients take errors by
        body = orjson.dumps(told)
        if self.has_started:
            if self._is_stream:
                await self._send({"type": "http.response.body", "body": self._frame(body)})
            return
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            *(
                (name.encode(), value.encode("latin-1", "replace"))
                for name, value in response_headers(error).items()
            ),
        ]
        await self._send_start(error.status, headers)
        await self._send({"type": "http.response.body", "body": b"" if self._is_head else body})

    async def complete(self) -> None:
        """Answers in the place of an application that ended without an answer."""
        if not self.has_started:
            await self.refuse(GatewayError(ErrorCategory.INTERNAL))

    def end(self) -> None:
        """Tells `on_end`, unless that was done."""
        self._begin()
        told, self.on_end = self.on_end, None
        if told is not None:
            told()

    def _begin(self) -> None:
        told, self.on_start = self.on_start, None
        if told is not None:
            told()

    def _frame(self, body: bytes) -> bytes:
        # Anthropic's clients know errors by this event's name; others break on named events.
        name = b"event: error\n" if self._call.endpoint is Endpoint.MESSAGES else b""
        return name + b"data: " + body + _FRAME_END

    async def _body(self, message: Message) -> None:
        body, more = message.get("body", b""), message.get("more_body", False)
        if self._has_ended or self._start is None:
            return
        if self._is_error:
            self._buffer += body[: MAX_ERROR_BYTES - len(self._buffer)]
            if not more:
                await self.refuse(self._in_our_form())
            return
        at = _error_frame_at(body) if self._is_stream and self.is_litellms else None
        if at is not None:
            body, frame = body[:at], body[at:]
        if at != 0:
            await self._pass_on(body, more or at is not None)
        if at is not None:
            # A stream's error: its end, or, when nothing was sent yet, an answer with the proper status.
            data = frame.split(_FRAME_END, 1)[0].split(b"data: ", 1)[-1]
            await self.refuse(_ours(_json(data)) or GatewayError(ErrorCategory.PROVIDER_ERROR))

    async def _pass_on(self, body: bytes, more: bool) -> None:
        assert self._start is not None
        if not self.has_started:
            await self._send_start(self._start["status"], self._start.get("headers", []))
        self._has_ended = not more
        if not more:
            self.end()
        shown = b"" if self._is_head else body
        await self._send({"type": "http.response.body", "body": shown, "more_body": more})

    async def _send_start(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self.has_started, self.status = True, status
        self._begin()
        caller = self._call.caller
        ours = {
            name.encode(): value.encode("latin-1", "replace")
            for name, value in answer_headers(self._call).items()
        }
        hidden = () if caller is not None and caller.is_operator else _HIDDEN_PREFIXES
        kept = [
            (name, value)
            for name, value in headers
            if (lowered := name.lower()) not in _REPLACED
            and lowered not in ours
            and not (hidden and lowered.startswith(hidden))
        ]
        kept += ours.items()
        await self._send({"type": "http.response.start", "status": status, "headers": kept})

    def _in_our_form(self) -> GatewayError:
        """The buffered error: ours as it is, LiteLLM's by its status."""
        assert self._start is not None
        data = _json(_unpacked(bytes(self._buffer), _header(self._start, b"content-encoding")))
        if (error := _ours(data)) is not None:
            return _with_headers(error, self._start)
        if self._call.endpoint is not None and self._call.failure is not None:
            return self._call.failure
        status = self._start["status"]
        category = _BY_STATUS.get(status, _by_class_of(status))
        caller = self._call.caller
        told = _told(data) if caller is not None and caller.is_operator else _fields_at_fault(data)
        allow = _header(self._start, b"allow").decode("latin-1")
        return GatewayError(category, told, headers={"allow": allow} if allow else None)


def _error_frame_at(body: bytes) -> int | None:
    """Where the first whole error frame of a piece of a stream begins; None when there is none.

    Text of a model cannot look like one: inside of a frame line ends are escaped.
    """
    if body.startswith(_ERROR_FRAMES):
        return 0
    found = [at for frame in _ERROR_FRAMES if (at := body.find(_FRAME_END + frame)) >= 0]
    return min(found) + len(_FRAME_END) if found else None


def _by_class_of(status: int) -> ErrorCategory:
    match status // 100:
        case 4:
            return ErrorCategory.INVALID_REQUEST
        case 5:
            return ErrorCategory.INTERNAL
        case _:
            return ErrorCategory.PROVIDER_ERROR


def _ours(data: Any) -> GatewayError | None:
    """An error that was rendered from our table already."""
    error = data.get("error") if isinstance(data, dict) else None
    category = error.get("category") if isinstance(error, dict) else None
    if not isinstance(error, dict) or not isinstance(category, str) or category not in _CATEGORIES:
        return None
    actions, is_retryable = error.get("actions") or [], error.get("retryable")
    return GatewayError(
        ErrorCategory(category),
        error.get("message"),
        param=error.get("param"),
        is_retryable=is_retryable if isinstance(is_retryable, bool) else None,
        retry_after_s=error.get("retry_after_s"),
        upgrade_url=next((action["url"] for action in actions if "url" in action), None),
        limit=error.get("limit"),
    )


def _with_headers(error: GatewayError, start: Message) -> GatewayError:
    """With what the body holds less exactly, or not at all."""
    wait_ms = _header(start, b"retry-after-ms")
    if wait_ms.isdigit():
        error.retry_after_s = int(wait_ms[:12]) / 1_000
    if allow := _header(start, b"allow"):
        error.headers["allow"] = allow.decode("latin-1")
    return error


def _told(data: Any) -> str | None:
    """LiteLLM's own words, for the operator alone."""
    error = data.get("error", data.get("detail")) if isinstance(data, dict) else None
    message = error.get("message", error.get("error")) if isinstance(error, dict) else error
    return message[:MAX_TOLD] if isinstance(message, str) and message else _fields_at_fault(data)


def _fields_at_fault(data: Any) -> str | None:
    """FastAPI's list of wrong fields as a sentence; it quotes what was sent, which is left out."""
    detail = data.get("detail") if isinstance(data, dict) else None
    if not isinstance(detail, list):
        return None
    places = [entry.get("loc") for entry in detail[:10] if isinstance(entry, dict)]
    names = [".".join(map(str, place[1:])) for place in places if isinstance(place, list)]
    shown = ", ".join(name[:64] for name in names if name)
    return f"Missing or wrong in the request: {shown}. Correct it." if shown else None


def _header(start: Message, name: bytes) -> bytes:
    return next((bytes(value) for key, value in start.get("headers", ()) if key.lower() == name), b"")


def _unpacked(body: bytes, encoding: bytes) -> bytes:
    if encoding != b"gzip":
        return body
    try:
        return gzip.decompress(body)
    except (OSError, EOFError, zlib.error):
        return b""


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
