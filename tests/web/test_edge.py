"""What the edge lets through to LiteLLM, and in which order it decides."""

import asyncio
import json

import pytest
from starlette.types import Message, Receive, Scope, Send

from scalix_callbacks.core.call import CALL_IN_SCOPE, CURRENT_CALL, Call
from scalix_callbacks.core.caller import OPERATOR
from scalix_callbacks.core.routes import Endpoint
from tests.web.conftest import MAX_BODY_BYTES, Site
from tests.world import MASTER_KEY

CHAT = "/v1/chat/completions"
ASK = {"model": "free-flash", "messages": [{"role": "user", "content": "Hello"}]}
UNKNOWN_KEY = "scalix_" + "u" * 43


def bearer(key: str, *more: tuple[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    return [(b"authorization", f"Bearer {key}".encode()), *more]


def request(body: bytes, *, more: bool = False) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


def asking(model: str) -> bytes:
    return json.dumps({**ASK, "model": model}).encode()


def code(sent: list[Message]) -> tuple[int, str]:
    """Status and code of an error that was sent as ASGI messages."""
    assert ["http.response.start", "http.response.body"] == [message["type"] for message in sent]
    return sent[0]["status"], json.loads(sent[1]["body"])["error"]["code"]


@pytest.mark.parametrize("has_begun", [False, True])
async def test_what_outlasts_a_stop_is_told_to_come_again(site: Site, key: str, has_begun: bool) -> None:
    """The server breaks it off; its client reads our error, as an answer or as a stream's last frame."""
    sent: list[Message] = []
    waits = asyncio.Event()

    async def hang(scope: Scope, receive: Receive, send: Send) -> None:
        if has_begun:
            headers = [(b"content-type", b"text/event-stream")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"data: {}\n\n", "more_body": True})
        waits.set()
        await asyncio.Event().wait()

    async def receive() -> Message:
        return request(asking("free-flash"))

    async def send(message: Message) -> None:
        sent.append(message)

    site.inner.reply = hang
    scope = {"type": "http", "method": "POST", "path": CHAT, "query_string": b"", "headers": bearer(key)}
    served = asyncio.create_task(site.edge(scope, receive, send))
    await waits.wait()
    served.cancel()
    await asyncio.wait([served])

    if has_begun:
        assert 200 == sent[0]["status"]
        sent = sent[2:]
    else:
        assert 503 == sent[0]["status"]
    assert "SERVICE_UNAVAILABLE" == json.loads(sent[-1]["body"].removeprefix(b"data: "))["error"]["code"]
    assert not sent[-1].get("more_body", False)


# --- a user's call --------------------------------------------------------------------------------


async def test_a_users_call_reaches_litellm_cleaned(site: Site, key: str) -> None:
    """The allowed fields alone, without credential, steering headers or query."""
    answer = await site.ask(
        "POST",
        f"{CHAT}?model=gpt-4&api-version=1&fallbacks=gpt-4",
        key=key,
        headers={
            "x-scalix-request-id": "7:attempt-1",
            "x-litellm-timeout": "1",
            "x-user-tier": "premium",
            "cookie": "a=b",
            "x-forwarded-for": "1.2.3.4",
            "user-agent": "ai/5",
        },
        json={**ASK, "user": "eve", "metadata": {"a": 1}, "colour": "red", "files": []},
    )
    scope = site.inner.scopes[0]
    call: Call = scope[CALL_IN_SCOPE]

    assert 200 == answer.status_code
    assert ASK == json.loads(site.inner.bodies[0])
    assert {b"host", b"accept", b"accept-encoding", b"user-agent", b"content-type", b"content-length"} == set(
        site.inner.headers
    )
    assert str(len(site.inner.bodies[0])).encode() == site.inner.headers[b"content-length"]
    assert b"" == scope["query_string"]
    assert call.caller is not None
    assert ("ada", "free") == (call.caller.id, call.caller.tier)
    assert ("7:attempt-1", Endpoint.CHAT, "free-flash") == (call.client_request_id, call.endpoint, call.model)


async def test_the_query_cannot_choose_another_model(site: Site, key: str) -> None:
    """LiteLLM would take `?model=gpt-4` before the body's model, and other fields for fields of the body."""
    await site.ask("POST", f"{CHAT}?model=gpt-4&num_retries=9", key=key, json=ASK)
    await site.ask("POST", f"{CHAT}?model=gpt-4", key=MASTER_KEY, json=ASK)

    assert [b"", b""] == [scope["query_string"] for scope in site.inner.scopes]


async def test_a_body_goes_on_as_json_whatever_it_was_called(site: Site, key: str) -> None:
    """Two content types: LiteLLM would believe the first, and read a form with a model of its own."""
    body = json.dumps({**ASK, "messages": [{"role": "user", "content": "&model=gpt-4&"}]}).encode()
    headers = bearer(
        key, (b"content-type", b"application/x-www-form-urlencoded"), (b"content-type", b"application/json")
    )
    await site.raw(request(body), headers=headers)

    assert [b"application/json"] == [v for n, v in site.inner.scopes[0]["headers"] if n == b"content-type"]


async def test_every_answer_carries_its_own_request_id_and_the_tier(site: Site, key: str) -> None:
    """The id is ours, never the client's, and each request has another one."""
    sent = {"x-scalix-request-id": "mine"}
    answers = [await site.ask("POST", CHAT, key=key, json=ASK, headers=sent) for _ in range(3)]
    ids = {answer.headers["x-scalix-request-id"] for answer in answers}

    assert 3 == len(ids)
    assert "mine" not in ids
    assert {"free"} == {answer.headers["x-scalix-tier"] for answer in answers}
    assert {scope[CALL_IN_SCOPE].request_id for scope in site.inner.scopes} == ids


async def test_the_call_is_known_to_the_hooks_and_to_nobody_after(site: Site, key: str) -> None:
    """LiteLLM's hooks find the call in their context; the next request finds none of it."""
    seen: list[Call | None] = []

    async def look(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(CURRENT_CALL.get())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    site.inner.reply = look
    await site.ask("POST", CHAT, key=key, json=ASK)

    assert [site.inner.scopes[0][CALL_IN_SCOPE]] == seen
    assert CURRENT_CALL.get() is None


async def test_a_client_that_hangs_up_is_heard_behind_the_body(site: Site, key: str) -> None:
    """LiteLLM waits for the hang-up on the same channel, to end the call."""
    heard: list[Message] = []

    async def listen(scope: Scope, receive: Receive, send: Send) -> None:
        heard.append(await receive())

    site.inner.reply = listen
    await site.raw(
        request(json.dumps(ASK).encode()), {"type": "http.disconnect"}, headers=bearer(key), path=CHAT
    )

    assert [{"type": "http.disconnect"}] == heard


# --- the order of decisions ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "key", "body", "expected"),
    [
        # each row is wrong in all that the rows below it are wrong in
        ("DELETE", f"{CHAT}?key=x", None, b"{", (400, "INVALID_REQUEST")),
        ("DELETE", CHAT, None, b"{", (405, "METHOD_NOT_ALLOWED")),
        ("POST", CHAT, None, b"{", (401, "INVALID_API_KEY")),
        ("POST", CHAT, UNKNOWN_KEY, b"{", (401, "INVALID_API_KEY")),
        ("POST", CHAT, "good", b"{", (400, "INVALID_REQUEST")),
        ("POST", CHAT, "good", b'{"model":"gpt-4","messages":[],"api_base":"x"}', (400, "INVALID_REQUEST")),
        ("POST", CHAT, "good", b'{"model":"gpt-4","messages":[]}', (400, "INVALID_REQUEST")),
        ("POST", CHAT, "good", asking("gpt-4"), (403, "MODEL_NOT_IN_TIER")),
        ("POST", CHAT, "good", asking("none"), (404, "MODEL_NOT_FOUND")),
        ("POST", "/v1/model/info", None, b"", (401, "INVALID_API_KEY")),
        ("POST", "/v1/model/info", "good", b"", (403, "PERMISSION_DENIED")),
        ("POST", "/nowhere", "good", b"", (404, "NOT_FOUND")),
        ("POST", "/key/generate", "good", b"{}", (403, "PERMISSION_DENIED")),
    ],
)
async def test_a_refusal_names_what_is_wrong_first(
    site: Site, method: str, path: str, key: str | None, body: bytes, expected: tuple[int, str]
) -> None:
    """And LiteLLM hears nothing of it."""
    credential = site.world.key() if key == "good" else key
    answer = await site.ask(method, path, key=credential, content=body)

    assert expected == (answer.status_code, answer.json()["error"]["code"])
    assert answer.json()["error"]["request_id"] == answer.headers["x-scalix-request-id"]
    assert [] == site.inner.scopes


async def test_a_body_is_not_read_from_strangers(site: Site) -> None:
    """Nobody without a key makes the gateway take megabytes."""

    async def never() -> Message:
        raise AssertionError("the body was read")

    assert (401, "INVALID_API_KEY") == code(await site.raw(headers=bearer(UNKNOWN_KEY), then=never))


@pytest.mark.parametrize(
    "method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "BREW", "post"]
)
async def test_another_method_is_refused_with_those_there_are(site: Site, method: str) -> None:
    """Before anyone asks who it is."""
    sent = await site.raw(method=method, path=CHAT)

    assert 405 == sent[0]["status"]
    assert (b"allow", b"POST") in sent[0]["headers"]
    assert [] == site.inner.scopes


# --- bodies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("declared", [None, b"10000", b"5", b"0"])
async def test_a_body_of_the_largest_size_goes_through(site: Site, key: str, declared: bytes | None) -> None:
    """Ten thousand bytes here; whether its length is told, and truly, makes no difference."""
    body = json.dumps({**ASK, "x": ""}).encode()
    body = body.replace(b'"x": ""', b'"x": "' + b"y" * (MAX_BODY_BYTES - len(body)) + b'"')
    headers = bearer(key) if declared is None else bearer(key, (b"content-length", declared))
    sent = await site.raw(request(body), headers=headers)

    assert (MAX_BODY_BYTES, 200) == (len(body), sent[0]["status"])


async def test_a_body_of_one_byte_more_does_not(site: Site, key: str) -> None:
    """The limit is exact."""
    body = json.dumps(ASK).encode().ljust(MAX_BODY_BYTES + 1)

    assert (413, "REQUEST_TOO_LARGE") == code(await site.raw(request(body), headers=bearer(key)))
    assert 200 == (await site.raw(request(body[:-1]), headers=bearer(key)))[0]["status"]


@pytest.mark.parametrize("declared", [b"10001", b"9" * 40, b"-1", b"x", b"", b"1e3", b"0x10"])
async def test_a_body_that_is_declared_too_large_is_not_read(site: Site, key: str, declared: bytes) -> None:
    """Nor one whose length is no number."""

    async def never() -> Message:
        raise AssertionError("the body was read")

    sent = await site.raw(headers=bearer(key, (b"content-length", declared)), then=never)

    assert (413, "REQUEST_TOO_LARGE") == code(sent)


@pytest.mark.parametrize("headers", [[], [(b"content-length", b"5")], [(b"transfer-encoding", b"chunked")]])
async def test_a_body_that_turns_out_too_large_is_not_read_to_its_end(
    site: Site, key: str, headers: list[tuple[bytes, bytes]]
) -> None:
    """Chunked, or with a length that lies: reading ends where the limit is passed."""
    taken = 0

    async def endless() -> Message:
        nonlocal taken
        taken += 1
        return request(b" " * 1_000, more=True)

    sent = await site.raw(headers=bearer(key, *headers), then=endless)

    assert (413, "REQUEST_TOO_LARGE") == code(sent)
    assert 11 == taken


async def test_a_body_in_pieces_is_put_together(site: Site, key: str) -> None:
    """However the network cuts it, also inside of a letter."""
    body = json.dumps({**ASK, "messages": [{"role": "user", "content": "zoë"}]}, ensure_ascii=False).encode()
    pieces = [request(body[i : i + 1], more=i < len(body) - 1) for i in range(len(body))]
    await site.raw(*pieces, headers=bearer(key))

    assert "zoë" == json.loads(site.inner.bodies[0])["messages"][0]["content"]


async def test_a_client_too_slow_is_given_up(site: Site, key: str) -> None:
    """Half a body, and then nothing: the connection is not held for ever."""
    sent = await site.raw(request(b'{"model":', more=True), headers=bearer(key))

    assert (400, "INVALID_REQUEST") == code(sent)
    assert "did not arrive within 0.2 s" in json.loads(sent[1]["body"])["error"]["message"]


async def test_a_client_that_leaves_in_its_upload_is_no_accident(
    site: Site, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody is there to read the answer, and nothing is logged as a fault."""
    sent = await site.raw(request(b"{", more=True), {"type": "http.disconnect"}, headers=bearer(key))

    assert (499, "CLIENT_CLOSED") == code(sent)
    assert [] == site.inner.scopes + caplog.records


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        (b"content-encoding", b"gzip", "compressed"),
        (b"content-encoding", b"br", "compressed"),
        (b"content-encoding", b"identity, gzip", "compressed"),
        (b"content-type", b"text/plain", "must be JSON"),
        (b"content-type", b"application/x-www-form-urlencoded", "must be JSON"),
        (b"content-type", b"multipart/form-data; boundary=x", "must be JSON"),
        (b"content-type", b"application/octet-stream", "must be JSON"),
    ],
)
async def test_what_is_no_plain_json_is_told_so(
    site: Site, key: str, name: bytes, value: bytes, says: str
) -> None:
    """The client learns which header to change."""
    sent = await site.raw(request(json.dumps(ASK).encode()), headers=bearer(key, (name, value)))

    assert (400, "INVALID_REQUEST") == code(sent)
    assert says in json.loads(sent[1]["body"])["error"]["message"]


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"content-type", b"application/json")],
        [(b"content-type", b"Application/JSON; charset=UTF-8")],
        [(b"content-type", b"application/vnd.api+json")],
        [(b"content-encoding", b"identity")],
    ],
)
async def test_json_is_json_under_its_several_names(
    site: Site, key: str, headers: list[tuple[bytes, bytes]]
) -> None:
    """Also without a type, as some clients send it."""
    sent = await site.raw(request(json.dumps(ASK).encode()), headers=bearer(key, *headers))

    assert 200 == sent[0]["status"]


# --- credentials -----------------------------------------------------------------------------------


async def test_a_key_in_the_query_is_refused_even_beside_a_good_one(site: Site, key: str) -> None:
    """The answer says to replace it, and does not show it."""
    answer = await site.ask("POST", f"{CHAT}?note={UNKNOWN_KEY}", key=key, json=ASK)

    assert 400 == answer.status_code
    assert UNKNOWN_KEY not in answer.text
    assert [] == site.inner.scopes


@pytest.mark.parametrize(
    "query", [b"k%65y=1", b"KEY=1", b"a=sk%2D1234", b"a=1&api_key=", b"x&token", b"%61uth=1"]
)
async def test_a_key_in_the_query_is_found_behind_its_encoding(site: Site, query: bytes) -> None:
    """Percent signs hide nothing."""
    assert (400, "INVALID_REQUEST") == code(await site.raw(query=query, path="/v1/health", method="GET"))


async def test_a_query_of_too_many_fields_is_refused(site: Site) -> None:
    """A hundred are more than anyone needs."""
    sent = await site.raw(query=b"&".join([b"a=1"] * 101), path="/v1/health", method="GET")

    assert (400, "INVALID_REQUEST") == code(sent)


async def test_two_credentials_are_none(site: Site, key: str) -> None:
    """A server in front might have read the other one."""
    headers = [*bearer(key), *bearer(MASTER_KEY)]

    assert (400, "INVALID_REQUEST") == code(await site.raw(request(b"{}"), headers=headers))


async def test_what_a_client_puts_into_headers_comes_back_in_none(site: Site, key: str) -> None:
    """Line ends in names and values cannot write headers of ours."""
    headers = bearer(key, (b"x-scalix-request-id", b"a\r\nx-evil: 1"), (b"x-user-id", b"b\r\nx-evil: 1"))
    sent = await site.raw(request(json.dumps(ASK).encode()), headers=headers)

    assert 200 == sent[0]["status"]
    assert b"evil" not in repr(sent[0]["headers"]).encode()


@pytest.mark.parametrize(
    "path",
    [
        "//v1/chat/completions",
        "/v1/chat/completions/",
        "/v1/../key/generate",
        "/V1/CHAT/COMPLETIONS",
        "/v1/chat%2Fcompletions",
        "/%2e%2e/key/generate",
        "/key/generate/",
        "//key/generate",
        "/key/../key/generate",
        "/openai/deployments/gpt-4/chat/completions",
        "/config/yaml",
        "/docs",
        "",
    ],
)
async def test_no_spelling_of_a_path_leads_a_user_past_the_list(site: Site, key: str, path: str) -> None:
    """LiteLLM never sees such a request of a user."""
    sent = await site.raw(request(b"{}"), headers=bearer(key), path=path)

    assert (404, "NOT_FOUND") == code(sent)
    assert [] == site.inner.scopes


@pytest.mark.parametrize("path", ["/v1/models/../../key/generate", "/v1/models//v1/model/info", "/models/.."])
async def test_below_the_models_there_are_models_alone(site: Site, key: str, path: str) -> None:
    """A path that climbs out is the name of a model that does not exist."""
    assert (404, "MODEL_NOT_FOUND") == code(await site.raw(headers=bearer(key), path=path, method="GET"))
    assert [] == site.inner.scopes


# --- the operator ----------------------------------------------------------------------------------


async def test_the_operator_reaches_litellms_own_routes_untouched(site: Site) -> None:
    """Body, query and type as sent; only the credential stays here."""
    answer = await site.ask(
        "POST",
        "/v1/model/info?page=2",
        key=MASTER_KEY,
        headers={"content-type": "text/csv", "x-litellm-tags": "a"},
        content=b"a,b\n" * 9_000,
    )
    scope = site.inner.scopes[0]

    assert 200 == answer.status_code
    assert b"a,b\n" * 9_000 == site.inner.bodies[0]
    assert b"page=2" == scope["query_string"]
    assert (b"text/csv", b"a") == (site.inner.headers[b"content-type"], site.inner.headers[b"x-litellm-tags"])
    assert b"authorization" not in site.inner.headers
    assert scope[CALL_IN_SCOPE].caller is OPERATOR


async def test_the_operators_own_call_keeps_its_fields(site: Site) -> None:
    """It may steer LiteLLM; the model and the form are checked as anyone's."""
    body = {**ASK, "api_base": "http://x.example", "metadata": {"a": 1}}
    answer = await site.ask("POST", CHAT, key=MASTER_KEY, json=body)

    assert body == json.loads(site.inner.bodies[0])
    assert "x-scalix-tier" not in answer.headers


async def test_what_the_operator_does_for_a_user_is_a_users(site: Site) -> None:
    """Screened, limited to that user's models, and recorded under the user."""
    ask = {**ASK, "user": "bob", "metadata": {"a": 1}}
    answer = await site.ask("POST", CHAT, key=MASTER_KEY, json=ask)
    refused = await site.ask("POST", CHAT, key=MASTER_KEY, json={**ask, "model": "gpt-4"})
    steering = await site.ask("POST", CHAT, key=MASTER_KEY, json={**ask, "api_base": "x"})
    caller = site.inner.scopes[0][CALL_IN_SCOPE].caller

    assert (200, 403, 400) == (answer.status_code, refused.status_code, steering.status_code)
    assert ASK == json.loads(site.inner.bodies[0])
    assert ("bob", "free", False) == (caller.id, caller.tier, caller.is_operator)
    assert ("free", "free") == (answer.headers["x-scalix-tier"], refused.headers["x-scalix-tier"])


async def test_a_users_claims_are_worth_nothing(site: Site, key: str) -> None:
    """The same headers from a user's key change neither the user nor the tier."""
    claims = {"x-user-tier": "premium", "x-user-id": "bob", "x-scalix-key": UNKNOWN_KEY}
    answer = await site.ask(
        "POST", CHAT, key=key, headers=claims, json={**ASK, "model": "gpt-4", "user": "bob"}
    )
    own = await site.ask("POST", CHAT, key=key, headers=claims, json={**ASK, "user": "bob"})

    assert (403, 200) == (answer.status_code, own.status_code)
    assert "ada" == site.inner.scopes[0][CALL_IN_SCOPE].caller.id


async def test_the_operator_lists_models_for_a_user(site: Site) -> None:
    """A backend asks for what its user may use."""
    answer = await site.ask("GET", "/v1/models", key=MASTER_KEY, headers={"x-user-id": "bob"})

    assert ["free-flash", "free-pro"] == [entry["id"] for entry in answer.json()["data"]]


async def test_without_a_database_a_user_is_asked_to_wait(site: Site, key: str) -> None:
    """503 with the seconds to wait, never a hang or a wrong 401."""
    site.world.break_database()
    sent = await site.raw(request(b"{}"), headers=bearer(key))

    assert (503, "SERVICE_UNAVAILABLE") == code(sent)
    assert (b"retry-after", b"5") in sent[0]["headers"]
    assert [] == site.inner.scopes


# --- web sockets and the rest ----------------------------------------------------------------------


async def speak_websocket(
    site: Site, headers: list[tuple[bytes, bytes]], query: bytes = b"", **server: object
) -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {"type": "websocket", "path": "/v1/realtime", "query_string": query, "headers": headers}
    scope |= server
    await site.edge(scope, receive, send)
    return sent


async def test_a_refused_web_socket_is_told_why(site: Site, key: str) -> None:
    """In the form of all errors; it was a 403 without a word."""
    able = {"extensions": {"websocket.http.response": {}}}
    sent = [
        await speak_websocket(site, headers, query, **able)
        for headers, query in (([], b""), (bearer("scalix_nobody"), b""), (bearer(key), b""), ([], b"key=1"))
    ]

    errors = [json.loads(body["body"])["error"] for _, body in sent]
    told = [(start["status"], error["code"]) for (start, _), error in zip(sent, errors, strict=True)]
    assert [(401, "INVALID_API_KEY")] * 2 == told[:2]
    assert [(403, "PERMISSION_DENIED"), (400, "INVALID_REQUEST")] == told[2:]
    assert [dict(start["headers"])[b"x-scalix-request-id"].decode() for start, _ in sent] == [
        error["request_id"] for error in errors
    ]
    assert [] == site.inner.scopes


async def test_litellms_web_sockets_are_the_operators(site: Site, key: str) -> None:
    """Everyone else is refused before the hand-shake ends."""

    async def accept(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})

    site.inner.reply = accept
    closed = [{"type": "websocket.close", "code": 1008}]

    assert closed == await speak_websocket(site, bearer(key))
    assert closed == await speak_websocket(site, [])
    assert closed == await speak_websocket(site, [*bearer(MASTER_KEY), *bearer(MASTER_KEY)])
    assert closed == await speak_websocket(site, bearer(MASTER_KEY), b"key=1")
    assert [] == site.inner.scopes
    assert [{"type": "websocket.accept"}] == await speak_websocket(site, bearer(MASTER_KEY))
    assert site.inner.scopes[0][CALL_IN_SCOPE].caller is OPERATOR


async def test_the_lifespan_is_litellms(site: Site) -> None:
    """Start and stop pass through."""

    async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
        return None

    site.inner.reply = nothing
    await site.edge({"type": "lifespan"}, nothing, nothing)  # type: ignore[arg-type]

    assert ["lifespan"] == [scope["type"] for scope in site.inner.scopes]


async def test_many_users_at_once_are_not_mixed_up(site: Site) -> None:
    """Each answer belongs to its own request."""
    keys = {name: site.world.key(name) for name in ("ada", "bob", "eve")}

    async def who(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0)
        call = CURRENT_CALL.get()
        assert call is not None and call.caller is not None
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": f"{call.caller.id} {call.request_id}".encode()})

    site.inner.reply = who
    names = list(keys) * 20
    answers = await asyncio.gather(*(site.ask("POST", CHAT, key=keys[name], json=ASK) for name in names))

    assert [
        f"{name} {answer.headers['x-scalix-request-id']}" for name, answer in zip(names, answers, strict=True)
    ] == [answer.text for answer in answers]
