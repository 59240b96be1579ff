"""What comes back: our headers, our errors, and nothing of the inside."""

import asyncio
import gzip
import json
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from scalix_callbacks.core.call import Call
from scalix_callbacks.core.errors import ErrorCategory, GatewayError, render
from scalix_callbacks.web.answer import MAX_ERROR_BYTES, Answer
from tests.web.conftest import Reply, Site, reply, stream
from tests.world import MASTER_KEY

CHAT = "/v1/chat/completions"
ASK = {"model": "free-flash", "messages": [{"role": "user", "content": "Hello"}]}
ASK_MESSAGES = {**ASK, "max_tokens": 9}
SECRET = "canary-5521 https://provider.example sk-upstream"
CHUNK = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'
DONE = b"data: [DONE]\n\n"
FORM = {
    *("message", "title", "type", "param", "code", "category"),
    *("retryable", "retry_after_s", "request_id", "actions"),
}


async def ask(
    site: Site, answering: Reply, *, key: str, path: str = CHAT, body: Any = None
) -> tuple[int, Any, Any]:
    """Status, error and headers of what the client gets when LiteLLM answers so."""
    site.inner.reply = answering
    answer = await site.ask("POST", path, key=key, json=body or ASK)
    error = answer.json()["error"]
    assert set(error) == FORM or set(error) == FORM | {"limit"}
    assert {"error"} == set(answer.json())
    assert "application/json" == answer.headers["content-type"]
    assert error["request_id"] == answer.headers["x-scalix-request-id"]
    return answer.status_code, error, answer.headers


def ours(error: GatewayError) -> bytes:
    return json.dumps({"error": render(error, "another-id")}).encode()


# --- headers --------------------------------------------------------------------------------------

INSIDE = {
    "x-litellm-model-api-base": "https://provider.example",
    "x-litellm-call-id": "1",
    "X-LiteLLM-Key-Spend": "0.1",
    "llm_provider-x-request-id": "1",
    "x-ratelimit-api_key-remaining-requests": "9",
    "x-scalix-tier": "premium",
    "x-scalix-request-id": "forged",
    "server": "uvicorn",
    "request-id": "req_of_the_provider",
}
OUTSIDE = {
    "content-type": "application/json",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}


async def test_a_user_sees_nothing_of_the_inside(site: Site, key: str) -> None:
    """No upstream address, cost or id of LiteLLM's leaves with an answer."""
    site.inner.reply = reply(200, b"{}", **INSIDE, **OUTSIDE)
    answer = await site.ask("POST", CHAT, key=key, json=ASK)
    for_a_user = await site.ask("POST", CHAT, key=MASTER_KEY, json={**ASK, "user": "bob"})

    for headers in (answer.headers, for_a_user.headers):
        assert {*OUTSIDE, "x-scalix-request-id", "x-scalix-tier"} == set(headers)
        assert ("free", False) == (headers["x-scalix-tier"], headers["x-scalix-request-id"] == "forged")


async def test_the_operator_sees_what_litellm_says(site: Site) -> None:
    """But for the headers that are ours to set."""
    site.inner.reply = reply(200, b"{}", **INSIDE, **OUTSIDE)
    answer = await site.ask("POST", CHAT, key=MASTER_KEY, json=ASK)

    assert "https://provider.example" == answer.headers["x-litellm-model-api-base"]
    assert "forged" != answer.headers["x-scalix-request-id"]
    assert "x-scalix-tier" not in answer.headers


async def test_a_refusal_carries_the_headers_of_any_answer(site: Site, key: str) -> None:
    """The id to report, the tier, and that trying again is pointless."""
    answer = await site.ask("POST", CHAT, key=key, json={**ASK, "model": "gpt-4"})

    assert ("free", "false") == (answer.headers["x-scalix-tier"], answer.headers["x-should-retry"])
    assert str(len(answer.content)) == answer.headers["content-length"]


# --- errors of LiteLLM's ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, (400, "INVALID_REQUEST")),
        (401, (403, "PERMISSION_DENIED")),
        (402, (402, "BUDGET_EXCEEDED")),
        (403, (403, "PERMISSION_DENIED")),
        (404, (404, "NOT_FOUND")),
        (405, (405, "METHOD_NOT_ALLOWED")),
        (408, (504, "PROVIDER_TIMEOUT")),
        (409, (409, "CONFLICT")),
        (413, (413, "REQUEST_TOO_LARGE")),
        (418, (400, "INVALID_REQUEST")),
        (422, (400, "INVALID_REQUEST")),
        (429, (503, "OVERLOADED")),
        (499, (499, "CLIENT_CLOSED")),
        (500, (500, "INTERNAL")),
        (502, (502, "PROVIDER_ERROR")),
        (503, (503, "SERVICE_UNAVAILABLE")),
        (504, (504, "PROVIDER_TIMEOUT")),
        (599, (500, "INTERNAL")),
    ],
)
@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (
            json.dumps({"error": {"message": SECRET, "type": None, "param": None, "code": "x"}}),
            "application/json",
        ),
        (json.dumps({"detail": SECRET}), "application/json"),
        (json.dumps({"detail": {"error": SECRET}}), "application/json"),
        (json.dumps([SECRET]), "application/json"),
        (json.dumps(SECRET), "application/json"),
        ("null", "application/json"),
        ("", "application/json"),
        (SECRET, "text/plain"),
        (f"<html><body>{SECRET}</body></html>", "text/html"),
        (f'data: {{"error": "{SECRET}"}}\n\n', "text/event-stream"),
        ("{", "application/json"),
    ],
)
async def test_litellms_errors_come_out_in_our_form(
    site: Site, key: str, status: int, expected: tuple[int, str], body: str, content_type: str
) -> None:
    """By their status, and without their words: those may hold a prompt, a key or an address."""
    shown, error, _ = await ask(site, reply(status, body.encode(), content_type=content_type), key=key)

    assert expected == (shown, error["code"])
    assert "canary" not in json.dumps(error)


@pytest.mark.parametrize("pieces", [2, 7, 100])
async def test_an_error_in_pieces_is_one_error(site: Site, key: str, pieces: int) -> None:
    """Servers send what they like in as many pieces as they like."""
    body = ours(GatewayError(ErrorCategory.PROVIDER_RATE_LIMITED))
    shown, error, _ = await ask(site, reply(503, body, pieces=pieces), key=key)

    assert (503, "PROVIDER_RATE_LIMITED") == (shown, error["code"])


async def test_a_packed_error_is_unpacked(site: Site, key: str) -> None:
    """LiteLLM compresses for clients that accept it; ours goes out plain."""
    body = gzip.compress(ours(GatewayError(ErrorCategory.CONTENT_POLICY)))
    shown, error, headers = await ask(site, reply(400, body, content_encoding="gzip"), key=key)

    assert (400, "CONTENT_POLICY") == (shown, error["code"])
    assert "content-encoding" not in headers


@pytest.mark.parametrize("body", [gzip.compress(b"{}" * 99, mtime=0)[:-9], b"no gzip", b""])
async def test_a_broken_package_is_told_by_its_status(site: Site, key: str, body: bytes) -> None:
    """Nothing of it can be read, and nothing breaks."""
    shown, error, _ = await ask(site, reply(502, body, content_encoding="gzip"), key=key)

    assert (502, "PROVIDER_ERROR") == (shown, error["code"])


async def test_a_huge_error_is_not_kept_in_memory() -> None:
    """Beyond a quarter of a megabyte nobody reads on."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    answer = Answer(send, Call("r-1"))
    answer.is_litellms = True
    await answer({"type": "http.response.start", "status": 500, "headers": []})
    for _ in range(8):
        await answer({"type": "http.response.body", "body": b"x" * MAX_ERROR_BYTES, "more_body": True})
    kept = len(answer._buffer)
    await answer({"type": "http.response.body", "body": b""})

    assert (MAX_ERROR_BYTES, 500) == (kept, sent[0]["status"])
    assert "INTERNAL" == json.loads(sent[1]["body"])["error"]["code"]


async def test_our_own_error_comes_through_unharmed(site: Site, key: str) -> None:
    """What a hook of ours told LiteLLM arrives whole; only the request id is this one's."""
    limit = {"unit": "tokens", "window_s": 86_400, "limit": 10, "used": 10, "remaining": 0, "resets_at": "…Z"}
    told = GatewayError(
        ErrorCategory.RATE_LIMIT_EXCEEDED,
        "Rate limit exceeded. Please upgrade to Pro",
        param="max_tokens",
        retry_after_s=90,
        upgrade_url="https://scalix.world/pro",
        limit=limit,
    )
    shown, error, headers = await ask(site, reply(429, ours(told)), key=key)

    assert 429 == shown
    assert {**render(told, "another-id"), "request_id": error["request_id"]} == error
    assert ("90", "90000", "false") == tuple(
        headers[name] for name in ("retry-after", "retry-after-ms", "x-should-retry")
    )


async def test_a_short_wait_stays_short(site: Site, key: str) -> None:
    """The app waits `retry-after-ms`: 50 ms must not become a second."""
    body = ours(GatewayError(ErrorCategory.RATE_LIMIT_EXCEEDED, retry_after_s=0.05))
    _, error, headers = await ask(site, reply(429, body, retry_after="1", retry_after_ms="50"), key=key)

    assert ("1", "50", 1) == (headers["retry-after"], headers["retry-after-ms"], error["retry_after_s"])
    assert "x-should-retry" not in headers


@pytest.mark.parametrize(
    "error",
    [
        {"category": ["INTERNAL"]},
        {"category": "NOBODY_KNOWS"},
        {"category": None},
        {"category": {}},
        "INTERNAL",
        ["x"],
        None,
    ],
)
async def test_what_only_looks_like_ours_is_not_believed(site: Site, key: str, error: Any) -> None:
    """It is told by its status."""
    shown, told, _ = await ask(site, reply(502, json.dumps({"error": error}).encode()), key=key)

    assert (502, "PROVIDER_ERROR") == (shown, told["code"])


async def test_the_fields_at_fault_are_named_without_what_was_sent(site: Site, key: str) -> None:
    """FastAPI quotes the input; we name the places."""
    detail = [
        {"loc": ["body", "messages", 0, "role"], "msg": SECRET, "input": SECRET, "type": "x"},
        {"loc": ["body", "n"], "msg": SECRET},
        {"loc": "odd"},
        {"loc": ["body"]},
        {},
        "odd",
    ]
    _, error, _ = await ask(site, reply(422, json.dumps({"detail": detail}).encode()), key=key)
    _, empty, _ = await ask(site, reply(422, b'{"detail":[{"loc":["body"]}]}'), key=key)

    assert "Missing or wrong in the request: messages.0.role, n. Correct it." == error["message"]
    assert (
        "Something in this request is not accepted. Correct it and send it again, or choose another model."
        == empty["message"]
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"error": {"message": "Model not found: x"}}, "Model not found: x"),
        ({"detail": "Not allowed here"}, "Not allowed here"),
        ({"detail": {"error": "No such team"}}, "No such team"),
        ({"error": "plain"}, "plain"),
        ({"error": {"message": "x" * 9_000}}, "x" * 2_000),
        (
            {"error": {"message": ["odd"]}},
            "Something in this request is not accepted. Correct it and send it again, or choose another"
            " model.",
        ),
    ],
)
async def test_the_operator_reads_litellms_own_words(site: Site, body: Any, expected: str) -> None:
    """Whoever runs it must be able to mend it."""
    _, error, _ = await ask(
        site, reply(400, json.dumps(body).encode()), key=MASTER_KEY, path="/v1/model/info", body={"a": 1}
    )

    assert expected == error["message"]


async def test_a_method_litellm_does_not_take_names_those_it_takes(site: Site) -> None:
    """On its own routes, which are the operator's."""
    _, error, headers = await ask(
        site, reply(405, b'{"detail":"x"}', allow="GET"), key=MASTER_KEY, path="/v1/model/info"
    )

    assert ("METHOD_NOT_ALLOWED", "GET") == (error["code"], headers["allow"])


# --- accidents ------------------------------------------------------------------------------------


async def failing(scope: Scope, receive: Receive, send: Send) -> None:
    raise RuntimeError(SECRET)


async def test_an_accident_inside_is_an_error_with_an_id(
    site: Site, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The user gets an id to report; the log has the same id and the cause."""
    status, error, _ = await ask(site, failing, key=key)

    assert (500, "INTERNAL") == (status, error["code"])
    assert "canary" not in json.dumps(error)
    assert [f"unexpected error request_id={error['request_id']}"] == [
        record.message for record in caplog.records
    ]


async def test_an_accident_after_the_start_was_announced_is_the_same(site: Site, key: str) -> None:
    """Nothing was sent yet, so that the status can still be the right one."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError(SECRET)

    status, error, _ = await ask(site, app, key=key)

    assert (500, "INTERNAL") == (status, error["code"])


async def test_an_error_already_told_is_not_told_twice(site: Site, key: str) -> None:
    """Starlette sends its 500 and raises on: the client gets one answer."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await reply(500, b"Internal Server Error", content_type="text/plain")(scope, receive, send)
        raise RuntimeError(SECRET)

    status, error, _ = await ask(site, app, key=key)

    assert (500, "INTERNAL") == (status, error["code"])


async def test_no_answer_at_all_is_an_error(site: Site, key: str) -> None:
    """LiteLLM came back without a word; the client gets one, in our form."""

    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        return None

    async def only_started(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    assert "INTERNAL" == (await ask(site, silent, key=key))[1]["code"]
    assert "INTERNAL" == (await ask(site, only_started, key=key))[1]["code"]


async def test_half_an_answer_is_not_completed_with_an_error(site: Site, key: str) -> None:
    """JSON that broke off must not end as if it were whole: the connection is cut by the server."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b'{"choices":', "more_body": True})
        raise RuntimeError(SECRET)

    site.inner.reply = app
    body = json.dumps(ASK).encode()
    headers = [(b"authorization", f"Bearer {key}".encode())]
    sent = await site.raw({"type": "http.request", "body": body}, headers=headers)

    assert [b'{"choices":'] == [message["body"] for message in sent[1:]]
    assert sent[-1]["more_body"]


# --- streams --------------------------------------------------------------------------------------


def frame(error: GatewayError) -> bytes:
    return b"data: " + ours(error) + b"\n\n"


async def streamed(site: Site, answering: Reply, key: str, path: str = CHAT) -> tuple[int, list[str], str]:
    """Status, frames and request id of a stream."""
    site.inner.reply = answering
    body = {**(ASK_MESSAGES if path == "/v1/messages" else ASK), "stream": True}
    answer = await site.ask("POST", path, key=key, json=body)
    return (
        answer.status_code,
        [part for part in answer.text.split("\n\n") if part],
        answer.headers["x-scalix-request-id"],
    )


async def test_a_stream_passes_byte_by_byte(site: Site, key: str) -> None:
    """Chunks, comments and the end as LiteLLM sent them."""
    status, frames, _ = await streamed(site, stream(CHUNK, b": keep-alive\n\n", CHUNK, DONE), key)
    chunk = CHUNK.decode().strip()

    assert (200, [chunk, ": keep-alive", chunk, "data: [DONE]"]) == (status, frames)


async def test_each_chunk_is_passed_before_the_next_one_is_made(site: Site, key: str) -> None:
    """Nothing waits in the edge: the second chunk is made only after the first has arrived."""
    arrived, got = asyncio.Event(), list[bytes]()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"text/event-stream")],
            }
        )
        for _ in range(3):
            arrived.clear()
            await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
            await asyncio.wait_for(arrived.wait(), 5)
        await send({"type": "http.response.body", "body": DONE})

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            got.append(message["body"])
            arrived.set()

    async def receive() -> Message:
        return {"type": "http.request", "body": json.dumps(ASK).encode()}

    site.inner.reply = app
    headers = [(b"authorization", f"Bearer {key}".encode())]
    scope = {"type": "http", "method": "POST", "path": CHAT, "query_string": b"", "headers": headers}
    await site.edge(scope, receive, send)

    assert [CHUNK, CHUNK, CHUNK, DONE] == got


FOREIGN = b'data: {"error": {"message": "canary-5521", "code": "500"}}\n\n'


@pytest.mark.parametrize(
    ("answering", "code"),
    [
        (stream(CHUNK, frame(GatewayError(ErrorCategory.PROVIDER_TIMEOUT)), DONE), "PROVIDER_TIMEOUT"),
        (stream(CHUNK, FOREIGN, DONE), "PROVIDER_ERROR"),
        (stream(CHUNK, b'data: {"error"\n\n', DONE), "PROVIDER_ERROR"),
        (stream(CHUNK + FOREIGN + DONE), "PROVIDER_ERROR"),
        (stream(CHUNK, b"event: error\n" + FOREIGN, DONE), "PROVIDER_ERROR"),
        (stream(CHUNK + b"event: error\n" + FOREIGN, DONE), "PROVIDER_ERROR"),
        (stream(CHUNK, FOREIGN, CHUNK, FOREIGN, DONE), "PROVIDER_ERROR"),
    ],
)
async def test_a_stream_that_breaks_ends_with_one_frame_of_ours(
    site: Site, key: str, answering: Reply, code: str
) -> None:
    """Then nothing more, no [DONE]: the answer is not complete, and the app shows the message."""
    status, frames, request_id = await streamed(site, answering, key)
    error = json.loads(frames[1].removeprefix("data: "))["error"]

    assert (200, 2, CHUNK.decode().strip()) == (status, len(frames), frames[0])
    assert (code, request_id) == (error["code"], error["request_id"])
    assert "canary" not in frames[1]


async def test_a_stream_that_breaks_by_an_accident_ends_the_same(site: Site, key: str) -> None:
    """An exception inside, after the first chunk."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
        raise RuntimeError(SECRET)

    _, frames, _ = await streamed(site, app, key)

    assert 2 == len(frames)
    assert "INTERNAL" == json.loads(frames[1].removeprefix("data: "))["error"]["code"]


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (frame(GatewayError(ErrorCategory.PROVIDER_TIMEOUT)), (504, "PROVIDER_TIMEOUT")),
        (frame(GatewayError(ErrorCategory.CONTEXT_WINDOW_EXCEEDED)) + DONE, (400, "CONTEXT_WINDOW_EXCEEDED")),
        (FOREIGN, (502, "PROVIDER_ERROR")),
    ],
)
async def test_a_stream_that_begins_with_its_error_is_an_error(
    site: Site, key: str, first: bytes, expected: tuple[int, str]
) -> None:
    """With its proper status, which clients act on."""
    status, error, _ = await ask(site, stream(first, DONE), key=key, body={**ASK, "stream": True})

    assert expected == (status, error["code"])


async def test_anthropics_clients_get_the_event_they_know(site: Site, key: str) -> None:
    """On /v1/messages errors are named events; anywhere else a named event breaks the app."""
    _, on_messages, _ = await streamed(site, stream(CHUNK, FOREIGN), key, "/v1/messages")
    _, on_chat, _ = await streamed(site, stream(CHUNK, FOREIGN), key)

    assert on_messages[1].startswith('event: error\ndata: {"error":')
    assert on_messages[1].endswith('"type":"error"}')
    assert on_chat[1].startswith('data: {"error":')
    assert on_chat[1].endswith("}}")


async def test_a_models_words_are_not_taken_for_an_error(site: Site, key: str) -> None:
    """A user may well ask for a text about our frames."""
    text = json.dumps({"choices": [{"delta": {"content": '\n\ndata: {"error": "x"}\n\nevent: error\n'}}]})
    chunk = f"data: {text}\n\n".encode()
    status, frames, _ = await streamed(site, stream(chunk, DONE), key)

    assert (200, [f"data: {text}", "data: [DONE]"]) == (status, frames)


async def test_json_that_holds_such_words_is_no_stream(site: Site, key: str) -> None:
    """Only event streams have frames."""
    body = b'data: {"error": "this is plain text"}'
    site.inner.reply = reply(200, body, content_type="text/plain")

    assert body == (await site.ask("POST", CHAT, key=key, json=ASK)).content


# --- HEAD, and what is no answer -------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/health", "/v1/health", "/health/liveness", "/v1/models", "/v1/models/none"]
)
async def test_head_is_get_without_a_body(site: Site, key: str, path: str) -> None:
    """Same status and length, also of an error."""
    headers = [(b"authorization", f"Bearer {key}".encode())]
    get = await site.raw(method="GET", path=path, headers=headers)
    head = await site.raw(method="HEAD", path=path, headers=headers)

    assert get[0]["status"] == head[0]["status"]
    assert [n for n, _ in get[0]["headers"]] == [n for n, _ in head[0]["headers"]]
    assert b"" != b"".join(message["body"] for message in get[1:])
    assert b"" == b"".join(message["body"] for message in head[1:])


async def test_what_an_app_sends_beside_the_answer_passes() -> None:
    """Early hints and the like are between it and the server."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    answer = Answer(send, Call("r-1"))
    await answer({"type": "http.response.debug", "info": {}})
    await answer({"type": "http.response.body", "body": b"before any start"})

    assert [{"type": "http.response.debug", "info": {}}] == sent
