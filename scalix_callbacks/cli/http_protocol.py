"""uvicorn's HTTP protocol, with its own refusals in the form of all our errors and with a bound on heads."""

from asyncio import BaseTransport, TimerHandle
from typing import Any
from uuid import uuid4

import httptools
import orjson
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from scalix_callbacks.core.errors import ErrorCategory, GatewayError, invalid, render, response_headers

HTTP_PROTOCOL = f"{__name__}:HttpProtocol"
"""By name, as uvicorn's configuration takes it."""

MAX_HEAD_BYTES = 65_536
"""Of a request's address and headers, as of uvicorn's other parser (h11); that of httptools has no bound."""

HEAD_TIMEOUT_S = 60.0
"""From its first byte, or from a connection's begin, to its end; as long as bodies have."""

MAX_WAITING_REQUESTS = 64
"""On one connection, behind the one that is being answered; 18 bytes of a client cost kilobytes here."""

WEBSOCKET_KEY_CHARS = 24
"""Of sixteen bytes, as RFC 6455 has it."""

MAX_WEBSOCKET_HEADERS = 100
MAX_WEBSOCKET_LINE_BYTES = 4_000
"""The library answers a handshake with more than 128 headers, or 8,192 bytes in a line, never."""


class HttpProtocol(HttpToolsProtocol):
    """One connection.

    A head is read to its end before any application sees the request, so that who never ends it would fill
    the memory, or hold the connection, without a key.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._is_in_head = True
        self._steps = 0
        self._unfinished_bytes = 0
        self._fault: GatewayError | None = None
        self._refusal: GatewayError | None = None
        self._running: RequestResponseCycle | None = None
        self._waiting_bytes = 0
        self._timer: TimerHandle | None = None

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]  # uvicorn wants a stream's, and gets one
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        if self._running is not None and self._is_due:
            # uvicorn tells the last request of a connection alone, which may be one that only waits.
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        self._unset_keepalive_if_required()  # also for one that came with the end of the last body
        super().on_message_begin()
        self._await_head()

    @property
    def _is_due(self) -> bool:
        """Whether an answer is; it goes out before whatever is read now is answered."""
        return self._running is not None and not self._running.response_complete

    def data_received(self, data: bytes) -> None:
        if self._refusal is not None:
            return
        steps = self._steps
        self._unset_keepalive_if_required()
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self._refuse(self._fault or _malformed())
            return
        if self.transport.is_closing() or self.transport.get_protocol() is not self:
            return  # closed, or a web socket now
        self._hold_back(len(data))
        # What is no step is a part of a head, or of what HTTP lets stand around a body.
        self._unfinished_bytes = 0 if steps != self._steps else self._unfinished_bytes + len(data)
        if self._unfinished_bytes > MAX_HEAD_BYTES:
            self._refuse(_head_too_large())
        else:
            self._await_rest()

    def _parse(self, data: bytes) -> None:
        """Gives the parser what was received.

        It leaves out the body of whatever asks for another protocol, also for one that nobody here speaks, as
        Java's client and `curl --http2` do (h2c). Such a request is read again without its wish.

        Raises: HttpParserError.
        """
        while True:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as stop:
                if self._should_upgrade():
                    self.handle_websocket_upgrade()
                    return
                data = self._without_upgrade() + data[stop.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's

    def _without_upgrade(self) -> bytes:
        first = b" ".join(
            (self.parser.get_method(), self.url, b"HTTP/" + self.parser.get_http_version().encode())
        )
        kept = [b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"]
        return b"\r\n".join((first, *kept, b"", b""))

    def _should_upgrade(self) -> bool:
        """Whether this is a handshake that the library of web sockets reads without stumbling."""
        fields = dict(self.headers)
        return (
            super()._should_upgrade()
            and not self._is_due
            and (self.parser.get_method(), self.parser.get_http_version()) == (b"GET", "1.1")
            and fields.get(b"sec-websocket-version") == b"13"
            and len(fields.get(b"sec-websocket-key", b"")) == WEBSOCKET_KEY_CHARS
            and len(self.headers) <= MAX_WEBSOCKET_HEADERS
            and all(len(each) <= MAX_WEBSOCKET_LINE_BYTES for each in (self.url, *fields, *fields.values()))
        )

    def on_headers_complete(self) -> None:
        self._stop_timer()
        if self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
            if self._should_upgrade():
                super().on_headers_complete()
            return  # else it is read again
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD_BYTES:
            self._fault = _head_too_large()
        elif len(self.pipeline) >= MAX_WAITING_REQUESTS:
            self._fault = _too_many_waiting()
        if self._fault is not None:
            raise ValueError("the parser passes it on as an error of its own")
        super().on_headers_complete()
        self._is_in_head = False
        self._steps += 1

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._is_in_head:  # uvicorn takes a trailer for a header of the request that is being answered
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        self._steps += 1
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        self._stop_timer()
        self._is_in_head = True
        self._steps += 1
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._refusal is not None and not self._is_due and not self.transport.is_closing():
            self._close_with(self._refusal)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(
            cycle, app if cycle.scope["http_version"] == "1.1" else _unframed(app, cycle)
        )

    def _hold_back(self, received_bytes: int) -> None:
        """Reads a little beyond the request that is being answered, and no more until it is.

        uvicorn stops at the first that waits, and then does not see that the client hangs up.
        """
        if not self.pipeline:
            self._waiting_bytes = 0
            return
        self._waiting_bytes += received_bytes
        if self._waiting_bytes > MAX_HEAD_BYTES:
            self.flow.pause_reading()
        else:
            self.flow.resume_reading()

    def _await_rest(self) -> None:
        """Bounds the time of a connection on which nothing is due, where uvicorn took its own bound away.

        It does with whatever is received, also with the body of a request that was refused for its head.
        """
        if self._is_due or self._timer is not None or self.timeout_keep_alive_task is not None:
            return
        if self._is_in_head:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
        else:
            self._await_head()

    def _await_head(self) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(HEAD_TIMEOUT_S, self._head_is_late)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _head_is_late(self) -> None:
        self._timer = None
        if self._is_due:
            self._await_head()  # an answer is on its way, which the next request must not end
        elif self._unfinished_bytes and self._is_in_head:
            self._refuse(_head_late())
        else:
            self.transport.close()

    def _refuse(self, error: GatewayError) -> None:
        """Ends the connection with an error for what is being read, behind the answers that are due."""
        if not self._is_in_head and self.pipeline:
            self.pipeline.popleft()  # the one whose body is being read
        elif not self._is_in_head:
            is_silent = self._running is None or self._running.response_started
            self._close_with(None if is_silent else error)
            return
        if self._is_due:
            self._refusal = error
            self.flow.resume_reading()
        else:
            self._close_with(error)

    def _close_with(self, error: GatewayError | None) -> None:
        if error is not None:
            self.transport.write(_written(error))
        self.transport.close()


def _unframed(app: ASGI3Application, cycle: RequestResponseCycle) -> ASGI3Application:
    """The same for a client of HTTP/1.0: an answer of unknown length ends with its connection.

    uvicorn would send it in chunks, of which such a client knows nothing.
    """

    async def unframed(scope: Any, receive: Any, send: Any) -> None:
        is_open = False

        async def send_plainly(message: Any) -> None:
            nonlocal is_open
            if message["type"] == "http.response.start":
                is_open = all(name.lower() != b"content-length" for name, _ in message.get("headers", ()))
                if is_open:
                    cycle.chunked_encoding = False
            elif is_open:
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await app(scope, receive, send_plainly)

    return unframed


def _written(error: GatewayError) -> bytes:
    request_id = uuid4().hex
    body = orjson.dumps({"error": render(error, request_id)})
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "connection": "close",
        "x-scalix-request-id": request_id,
        **response_headers(error),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return STATUS_LINE[error.status] + head.encode("latin-1", "replace") + b"\r\n" + body


def _malformed() -> GatewayError:
    return invalid(
        "This is not a valid HTTP/1.1 request. Correct its first line, its headers or the length of its body."
    )


def _head_late() -> GatewayError:
    return invalid(f"The headers of the request did not arrive within {HEAD_TIMEOUT_S:g} s. Send it again.")


def _head_too_large() -> GatewayError:
    return GatewayError(
        ErrorCategory.REQUEST_TOO_LARGE,
        f"The address and headers of the request are larger than {MAX_HEAD_BYTES:,} bytes. Send fewer or"
        " shorter ones.",
    )


def _too_many_waiting() -> GatewayError:
    return invalid(
        f"More than {MAX_WAITING_REQUESTS} requests wait for answers on this connection. Read some answers"
        " before you send more, and send this one again."
    )
