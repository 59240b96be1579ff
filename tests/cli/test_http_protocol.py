"""What the HTTP parser refuses, over a real uvicorn and a real connection."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
import pytest_asyncio
import uvicorn

from scalix_callbacks.cli import http_protocol
from scalix_callbacks.cli.http_protocol import HTTP_PROTOCOL, MAX_HEAD_BYTES, MAX_WAITING_REQUESTS
from scalix_callbacks.cli.listener import bind, local_address
from scalix_callbacks.cli.websocket_protocol import WEBSOCKET_PROTOCOL

GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
CLOSE = b"Connection: close\r\n\r\n"
HANDSHAKE = (
    b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
SLOW = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"
seen: list[str] = []


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Reads the body and tells its length; at /early the answer begins before, at /slow a second after.

    At /watched it waits for the client to leave, at /unread it reads no body, at /headers it names them.
    """
    if scope["type"] == "websocket":
        await receive()
        if scope["path"] == "/told":
            await send({"type": "websocket.http.response.start", "status": 401, "headers": []})
            await send({"type": "websocket.http.response.body", "body": b"no key"})
        else:
            await send({"type": "websocket.close"})
        return
    start = {"type": "http.response.start", "status": 200, "headers": []}
    if scope["path"] == "/early":
        await send(start)
        await send({"type": "http.response.body", "body": b"begun ", "more_body": True})
    read, more = 0, scope["path"] != "/unread"
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        read, more = read + len(message["body"]), message["more_body"]
    if scope["path"] == "/watched":
        with suppress(TimeoutError):
            seen.append((await asyncio.wait_for(receive(), 2))["type"])
        return
    if scope["path"] == "/slow":
        await asyncio.sleep(1)  # longer than heads may take here
    if scope["path"] != "/early":
        await send(start)
    told = b"%d bytes" % read
    if scope["path"] == "/headers":
        told = b"headers: " + b",".join(name for name, _ in scope["headers"]) + b"\n"
    await send({"type": "http.response.body", "body": told})


@pytest_asyncio.fixture
async def address() -> AsyncIterator[tuple[str, int]]:
    """Of a server."""
    config = uvicorn.Config(app, http=HTTP_PROTOCOL, lifespan="off", ws=WEBSOCKET_PROTOCOL, log_config=None)
    server = uvicorn.Server(config)
    with bind("127.0.0.1", 0) as listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        yield local_address(listener)
        server.should_exit = True
        await serving


async def exchange(address: tuple[str, int], *pieces: bytes, pause_s: float = 0.0) -> bytes:
    """Everything that comes back until the server closes."""
    reader, writer = await asyncio.open_connection(*address)
    with suppress(ConnectionError):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_s)
    try:
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


def error_of(answer: bytes) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Status, headers, and the inside of `error`."""
    head, body = answer.split(b"\r\n\r\n", 1)
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    assert len(body) == int(headers["content-length"])
    return int(first.split()[1]), headers, json.loads(body)["error"]


@pytest.mark.parametrize(
    "request_bytes",
    [
        *(b"GARBAGE\r\n\r\n", b"FOO / HTTP/1.1\r\nHost: x\r\n\r\n", b"GET / HTTP/3.0\r\nHost: x\r\n\r\n"),
        *(GET + b"no colon\r\n\r\n", GET + b"X: a\0b\r\n\r\n"),
        b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03",  # TLS
        GET + b"Content-Length: -5\r\n\r\n",
        GET + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
        GET + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        GET + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
async def test_what_is_no_http_gets_an_error_in_our_form(
    address: tuple[str, int], request_bytes: bytes
) -> None:
    """A client that reads `error.message` shows a sentence, as for any other mistake."""
    status, headers, error = error_of(await exchange(address, request_bytes))

    assert (400, "application/json") == (status, headers["content-type"])
    assert ("INVALID_REQUEST", "invalid_request_error") == (error["code"], error["type"])
    assert error["message"].startswith("This is not a valid HTTP/1.1 request.")
    assert error["request_id"] == headers["x-scalix-request-id"]
    assert "false" == headers["x-should-retry"]


async def test_an_endless_head_is_refused_before_it_fills_the_memory(address: tuple[str, int]) -> None:
    """By many headers, by one that does not end, and by an address that does not; no key is needed for it."""
    # The last piece of each goes beyond: what came behind it would only meet a reset.
    endless = (
        [GET, *[b"X: %s\r\n" % (b"a" * 995)] * 66],
        [GET + b"X: ", *[b"a" * 1_000] * 66],
        [b"GET /", *[b"a" * 1_000] * 66],
    )
    answers = [await exchange(address, *pieces) for pieces in endless]

    for answer in answers:
        status, _, error = error_of(answer)
        assert (413, "REQUEST_TOO_LARGE") == (status, error["code"])
        assert "65,536 bytes" in error["message"]


async def test_a_head_is_measured_however_it_arrives(address: tuple[str, int]) -> None:
    """One that comes in one piece, and is complete, has the same bound."""
    fits = await exchange(address, GET + b"X: " + b"a" * (MAX_HEAD_BYTES - 500) + b"\r\n" + CLOSE)
    too_large = await exchange(address, GET + b"X: " + b"a" * MAX_HEAD_BYTES + b"\r\n" + CLOSE)

    assert fits.startswith(b"HTTP/1.1 200 ")
    assert 413 == error_of(too_large)[0]


async def test_bodies_are_not_taken_for_heads(address: tuple[str, int]) -> None:
    """However large, however they arrive, and with the next request right behind."""
    size = 4 * MAX_HEAD_BYTES
    post = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size
    pieces = (post, b"a" * size, post, b"a" * (size - 100_000), b"a" * 100_000 + GET[:10], GET[10:] + CLOSE)
    answer = await exchange(address, *pieces, pause_s=0.05)

    assert 3 == answer.count(b"HTTP/1.1 200 ")
    assert 2 == answer.count(b"262144 bytes")


async def test_a_head_has_a_minute(address: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sends nothing, or half of one, does not hold the connection; also behind another request."""
    monkeypatch.setattr(http_protocol, "HEAD_TIMEOUT_S", 0.2)

    assert b"" == await exchange(address)
    for before in ((), (GET + b"\r\n",)):
        answer = await exchange(address, *before, GET, pause_s=0.1)
        assert len(before) == answer.count(b"HTTP/1.1 200 ")
        status, _, error = error_of(answer[answer.index(b"HTTP/1.1 400 ") :])
        assert (400, "INVALID_REQUEST") == (status, error["code"])
        assert error["message"].startswith("The headers of the request did not arrive within")


async def test_the_next_head_ends_no_answer(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However late it is, the answer before it comes whole."""
    monkeypatch.setattr(http_protocol, "HEAD_TIMEOUT_S", 0.2)
    answer = await exchange(address, b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n", GET, pause_s=0.1)

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"0 bytes" in answer
    assert 1 == answer.count(b"HTTP/1.1 400 ")


async def test_no_error_is_written_into_an_answer_that_has_begun(address: tuple[str, int]) -> None:
    """Its client would read it as a part of that answer; the closed connection tells enough."""
    post = b"POST /early HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = await exchange(address, post, b"zz\r\n", pause_s=0.2)

    assert b"begun " in answer
    assert b"error" not in answer
    assert 1 == answer.count(b"HTTP/1.1 ")


@pytest.mark.parametrize("waiting", [0, 1, 2])
async def test_a_hang_up_is_seen_while_other_requests_wait(address: tuple[str, int], waiting: int) -> None:
    """The call that is being answered ends, as if it had been the only one on its connection."""
    seen.clear()
    _, writer = await asyncio.open_connection(*address)
    writer.write(b"GET /watched HTTP/1.1\r\nHost: x\r\n\r\n" + (GET + b"\r\n") * waiting)
    await asyncio.sleep(0.1)
    writer.close()

    await asyncio.sleep(0.2)

    assert ["http.disconnect"] == seen


@pytest.mark.parametrize("broken", [b"GARBAGE\r\n\r\n", GET + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"])
@pytest.mark.parametrize("waiting", [0, 1])
async def test_an_error_comes_behind_the_answers_that_are_due(
    address: tuple[str, int], broken: bytes, waiting: int
) -> None:
    """It was written into the answer before it, or in its place."""
    for pause_s in (0.0, 0.1):
        answer = await exchange(address, SLOW + (GET + b"\r\n") * waiting, broken, b"more", pause_s=pause_s)

        at = answer.index(b"HTTP/1.1 400 ")
        assert 1 + waiting == answer[:at].count(b"HTTP/1.1 200 ") == answer[:at].count(b"0 bytes")
        assert "INVALID_REQUEST" == error_of(answer[at:])[2]["code"]


async def test_a_large_piece_of_nonsense_takes_no_answer_away(address: tuple[str, int]) -> None:
    """Not that of the request before it, which waits."""
    post = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = await exchange(address, SLOW, GET + b"\r\n", post, b"z" * (MAX_HEAD_BYTES + 1), pause_s=0.1)

    at = answer.index(b"HTTP/1.1 400 ")
    assert 2 == answer[:at].count(b"HTTP/1.1 200 ")


async def test_no_handshake_takes_the_connection_from_an_answer(address: tuple[str, int]) -> None:
    """Behind a request whose answer is due it is answered in its turn, as any other."""
    answer = await exchange(address, SLOW, GET + HANDSHAKE, GET + CLOSE, pause_s=0.1)

    assert 3 == answer.count(b"HTTP/1.1 200 ")


async def test_no_more_requests_wait_than_fit_in_little_memory(address: tuple[str, int]) -> None:
    """Eighteen bytes of a client cost kilobytes each; those that were taken are answered."""
    answer = await exchange(
        address, SLOW, b"GET / HTTP/1.1\r\n\r\n" * (2 * MAX_WAITING_REQUESTS), pause_s=0.1
    )

    at = answer.index(b"HTTP/1.1 400 ")
    assert 1 + MAX_WAITING_REQUESTS == answer[:at].count(b"HTTP/1.1 200 ")
    assert error_of(answer[at:])[2]["message"].startswith("More than 64 requests wait for answers")


@pytest.mark.parametrize("later", [b"a", b"0\r\nX: y\r\n"])
async def test_the_rest_of_a_body_has_a_minute(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch, later: bytes
) -> None:
    """After an answer that did not wait for it; who stopped in its midst held the connection for good."""
    monkeypatch.setattr(http_protocol, "HEAD_TIMEOUT_S", 0.2)
    post = b"POST /unread HTTP/1.1\r\nHost: x\r\n"
    framing = b"Content-Length: 9\r\n\r\n" if later == b"a" else b"Transfer-Encoding: chunked\r\n\r\n"
    answer = await exchange(address, post + framing, later, pause_s=0.1)

    assert 1 == answer.count(b"HTTP/1.1 ")
    assert answer.startswith(b"HTTP/1.1 200 ")


async def test_a_request_behind_an_unread_body_has_all_its_time(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bounds of what came before it do not end its answer."""
    monkeypatch.setattr(http_protocol, "HEAD_TIMEOUT_S", 0.3)
    post = b"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"
    answer = await exchange(address, post, b"1234", b"56789" + SLOW[:5], SLOW[5:], pause_s=0.1)

    assert 2 == answer.count(b"HTTP/1.1 200 ")
    assert b"0 bytes" in answer


async def test_trailers_are_bounded_and_no_headers(address: tuple[str, int]) -> None:
    """They fill no memory, and nobody names a user or brings a key behind the body."""
    post = b"POST /headers HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    few = await exchange(address, post, b"1\r\na\r\n0\r\nX-User-ID: eve\r\n\r\n" + GET + CLOSE, pause_s=0.1)
    endless = await exchange(address, post, b"0\r\n", *[b"X: %s\r\n" % (b"a" * 995)] * 66, pause_s=0.002)

    assert 2 == few.count(b"HTTP/1.1 200 ")
    assert b"headers: host,transfer-encoding\n" in few
    assert 413 == error_of(endless)[0]


@pytest.mark.parametrize("protocol", [b"h2c", b"websocket", b"TLS/1.0"])
@pytest.mark.parametrize("pause_s", [0.0, 0.05])
async def test_a_wish_for_another_protocol_is_passed_over(
    address: tuple[str, int], protocol: bytes, pause_s: float
) -> None:
    """Java's client sends it with its first request; also in pieces, and with the next one behind."""
    wish = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: %s\r\n" % protocol
    for framing in (
        b"Content-Length: 5\r\n\r\nhello",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ):
        request = wish + framing
        pieces = (request[:30], request[30:-3], request[-3:] + request + GET + CLOSE)
        answer = await exchange(address, *pieces, pause_s=pause_s)

        assert 2 == answer.count(b"5 bytes")
        assert 3 == answer.count(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "lacking",
    [b"", b"Sec-WebSocket-Version: 12\r\n", b"Sec-WebSocket-Version: 13\r\nX: " + b"a" * 20_000 + b"\r\n"],
)
async def test_what_is_no_handshake_gets_an_ordinary_answer(address: tuple[str, int], lacking: bytes) -> None:
    """The library of web sockets answers it in plain text, or never."""
    wish = GET + b"Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" + lacking
    answer = await exchange(address, wish + b"Connection: Upgrade\r\n\r\n", GET + CLOSE, pause_s=0.05)

    assert 2 == answer.count(b"HTTP/1.1 200 ")


async def test_a_handshake_reaches_the_application(address: tuple[str, int]) -> None:
    """As a web socket, which here is closed at once."""
    answer = await exchange(address, GET + HANDSHAKE)

    assert answer.startswith(b"HTTP/1.1 403 ")


async def test_a_refused_handshake_is_no_error_of_ours(
    address: tuple[str, int], caplog: pytest.LogCaptureFixture
) -> None:
    """Who brings no key gets the answer, and leaves no line in the log."""
    answer = await exchange(address, b"GET /told HTTP/1.1\r\nHost: x\r\n" + HANDSHAKE)
    await asyncio.sleep(0.05)

    assert answer.startswith(b"HTTP/1.1 401 ")
    assert answer.endswith(b"no key")
    assert [] == [record for record in caplog.records if record.levelname == "ERROR"]


async def test_a_tunnel_is_refused(address: tuple[str, int]) -> None:
    """CONNECT asks for one."""
    answer = await exchange(address, b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n")

    assert (400, "INVALID_REQUEST") == (error_of(answer)[0], error_of(answer)[2]["code"])


async def test_an_old_client_gets_no_chunks(address: tuple[str, int]) -> None:
    """HTTP/1.0 knows none: the answer ends with its connection."""
    answer = await exchange(address, b"POST /early HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello")
    head, body = answer.split(b"\r\n\r\n", 1)

    assert b"begun 5 bytes" == body
    assert b"chunked" not in head
    assert b"connection: close" in head
