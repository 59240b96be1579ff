"""Nothing the client says makes it richer, and nothing of the inside comes out: against the whole product."""

import json
import uuid

import httpx
import pytest

from tests.system.gateway_process import MASTER_KEY, UPSTREAM_KEY, admin, wait_until

ASK = [{"role": "user", "content": "canary-prompt-8472 please"}]
CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def key(gateway):
    return gateway.new_key(user_id=f"free_{uuid.uuid4().hex}", tier="free")


def chat(model="free-gemini-flash", **fields):
    return {"model": model, "messages": ASK, "max_tokens": 2, **fields}


CLAIMS = [
    ({}, {"user": "scalix_pro_user_456"}),
    ({}, {"metadata": {"tier": "premium", "user_api_key_user_role": "proxy_admin"}}),
    ({"x-user-tier": "premium"}, {}),
    ({"x-user-id": "operator"}, {}),
    ({"x-scalix-key": MASTER_KEY}, {}),
    ({"x-litellm-tags": "premium", "x-litellm-api-key": MASTER_KEY}, {}),
    ({"api-key": MASTER_KEY, "x-goog-api-key": MASTER_KEY}, {}),
    ({"cookie": f"token={MASTER_KEY}"}, {}),
]


@pytest.mark.parametrize(("headers", "fields"), CLAIMS)
def test_no_claim_changes_the_tier(gateway, key, headers, fields):
    """Whatever a free user says of itself, it is free: its answers say so and gpt-4 stays closed."""
    with gateway.client(key, **headers) as client:
        allowed = client.post(CHAT, json=chat(**fields))
        refused = client.post(CHAT, json=chat("gpt-4", **fields))

    assert (200, "free") == (allowed.status_code, allowed.headers["x-scalix-tier"])
    assert (403, "MODEL_NOT_IN_TIER") == (refused.status_code, refused.json()["error"]["code"])


@pytest.mark.parametrize(
    "request_",
    [
        lambda c, k: c.post(CHAT, json=chat()),
        lambda c, k: c.post(CHAT, json=chat(), headers={"authorization": "Bearer scalix_" + "x" * 43}),
        lambda c, k: c.post(CHAT, json=chat(), headers={"authorization": "Bearer sk-1234"}),
        lambda c, k: c.post(CHAT, json=chat(), headers={"authorization": f"Basic {k}"}),
        lambda c, k: c.post(CHAT, json=chat(), headers={"authorization": k}),
        lambda c, k: c.post(CHAT, json=chat(), headers={"x-api-key": k}),
        lambda c, k: c.post(CHAT, json=chat(), headers={"cookie": f"token={k}"}),
        lambda c, k: c.get("/v1/models"),
        lambda c, k: c.get("/openapi.json"),
    ],
)
def test_without_a_key_in_its_header_nobody_is_known(gateway, key, request_):
    """401 with the words the app looks for."""
    with gateway.client(None) as client:
        answer = request_(client, key)

    assert 401 == answer.status_code
    error = answer.json()["error"]
    assert "INVALID_API_KEY" == error["code"]
    assert "LiteLLM Virtual Key expected" in error["message"]


def test_a_key_in_the_address_is_refused_and_not_logged(gateway, key):
    """400, for addresses are kept in logs; ours holds nothing of it."""
    with gateway.client(None) as client:
        answer = client.get("/v1/models", params={"key": key})

    assert (400, "INVALID_REQUEST") == (answer.status_code, answer.json()["error"]["code"])
    assert key not in gateway.logs()


@pytest.mark.parametrize(
    "path",
    [
        "/model/info",
        "/v1/files",
        "/key/info",
        "/user/info",
        "/config/yaml",
        "/spend/logs",
        "/routes",
        "/v1/batches",
    ],
)
def test_litellms_own_routes_are_the_operators(gateway, key, path):
    """A user's key opens none of them."""
    with gateway.client(key) as client:
        answer = client.get(path)

    assert (403, "PERMISSION_DENIED") == (answer.status_code, answer.json()["error"]["code"])


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/ui", "/ui/", "/", "/v1/nonsense"])
def test_docs_and_ui_are_closed(gateway, key, path):
    """Neither documents nor pages of LiteLLM are served."""
    with gateway.client(key) as client:
        answer = client.get(path)

    assert answer.status_code in (403, 404)
    assert answer.json()["error"]["request_id"]


@pytest.mark.parametrize(
    "fields",
    [
        {"api_base": "http://127.0.0.1:9/"},
        {"api_key": "sk-mine"},
        {"base_url": "http://127.0.0.1:9/"},
        {"mock_response": "free lunch"},
        {"custom_llm_provider": "anthropic"},
        {"extra_headers": {"authorization": "x"}},
        {"fallbacks": ["gpt-4"]},
        {"litellm_metadata": {}},
        {"no-log": True},
        {"cache": {"namespace": "other"}},
        {"num_retries": 100},
        {"model_info": {"id": "x"}},
        {"callbacks": ["x"]},
        {"input_cost_per_token": 0},
    ],
)
def test_fields_that_steer_litellm_are_refused_by_name(gateway, provider, key, fields):
    """400 that names the field; the provider is not called."""
    before = provider.tally()["totals"]
    with gateway.client(key) as client:
        answer = client.post(CHAT, json=chat(**fields))

    assert (400, next(iter(fields))) == (answer.status_code, answer.json()["error"]["param"])
    assert before == provider.tally()["totals"]


@pytest.mark.parametrize(
    "model", ["free-gemini-flash,gpt-4", "openai/demo", "GPT-4", " gpt-4", "*", "free-*", "demo"]
)
def test_models_are_reached_by_their_exact_public_names_alone(gateway, key, model):
    """No list, no provider's name, no pattern leads around the tier."""
    with gateway.client(key) as client:
        answer = client.post(CHAT, json=chat(model))

    assert (404, "MODEL_NOT_FOUND") == (answer.status_code, answer.json()["error"]["code"])


def test_a_deployments_id_is_no_model(gateway, key):
    """LiteLLM would route it; we do not know it."""
    with gateway.client() as operator:
        deployments = operator.get("/model/info").json()["data"]
    with gateway.client(key) as client:
        answers = [client.post(CHAT, json=chat(entry["model_info"]["id"])) for entry in deployments]

    assert {404} == {answer.status_code for answer in answers}


def test_the_apps_options_reach_no_provider(gateway, provider):
    """The user's files are not a field of the request that leaves the gateway."""
    provider.reset()
    pro = gateway.new_key(tier="pro")
    options = {"files": [{"path": "a.py", "content": "canary-file"}], "enable_lazy_edits": True}
    for model in ("gpt-4.1", "scalix-engine"):
        with gateway.client(pro) as client:
            answer = client.post(
                CHAT,
                json=chat(
                    model, scalix_options=options, files=options["files"], metadata={"a": 1}, user="someone"
                ),
            )
        assert 200 == answer.status_code, answer.text
    sent = [set(call["request_keys"]) for call in provider.tally()["calls"]]

    assert 2 == len(sent)
    assert all(
        keys <= {"model", "messages", "max_tokens", "max_completion_tokens", "stream"} for keys in sent
    ), sent


MALFORMED = {
    "empty": b"",
    "no JSON": b"{'model': 1}",
    "cut": b'{"model": "free-gemini-flash", "messages": [',
    "array": b"[1, 2]",
    "text": b'"hello"',
    "null": b"null",
    "not UTF-8": b'{"model": "\xff\xfe"}',
    "lone surrogate": b'{"model": "\\ud800", "messages": []}',
    "NaN": b'{"model": "free-gemini-flash", "messages": [{"role":"user","content":"x"}], "temperature": NaN}',
    "deep": b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    "no model": b'{"messages": [{"role": "user", "content": "x"}]}',
    "model a number": b'{"model": 7, "messages": [{"role": "user", "content": "x"}]}',
    "no messages": b'{"model": "free-gemini-flash"}',
    "messages a text": b'{"model": "free-gemini-flash", "messages": "x"}',
    "messages of numbers": b'{"model": "free-gemini-flash", "messages": [1]}',
    "content a number": b'{"model": "free-gemini-flash", "messages": [{"role": "user", "content": 5}]}',
    "odd role": b'{"model": "free-gemini-flash", "messages": [{"role": "god", "content": "x"}]}',
    "odd stream": b'{"model": "free-gemini-flash", "messages": [{"role":"user","content":""}], "stream": 1}',
}


@pytest.mark.parametrize("raw", MALFORMED.values(), ids=MALFORMED.keys())
@pytest.mark.parametrize("path", [CHAT, "/v1/messages", "/v1/responses", "/v1/embeddings", "/v1/completions"])
def test_a_malformed_body_is_a_400_in_our_form(gateway, key, path, raw):
    """Never a 500, never FastAPI's `detail`; operator and user alike."""
    for credential in (key, MASTER_KEY):
        with gateway.client(credential) as client:
            answer = client.post(path, content=raw, headers={"content-type": "application/json"})

        assert 400 == answer.status_code, answer.text
        assert {"error"} == set(answer.json())
        assert "INVALID_REQUEST" == answer.json()["error"]["code"]


def test_a_huge_body_is_refused(gateway, key):
    """413, whether or not it says its size."""
    with gateway.client(key) as client:
        known = client.post(CHAT, content=b" " * 11_000_000, headers={"content-type": "application/json"})
        chunked = client.post(
            CHAT, content=iter([b" " * 1_000_000] * 11), headers={"content-type": "application/json"}
        )

    assert [(413, "REQUEST_TOO_LARGE")] * 2 == [
        (answer.status_code, answer.json()["error"]["code"]) for answer in (known, chunked)
    ]


def test_a_revoked_or_changed_key_is_seen_by_every_worker_within_5_s(gateway):
    """Both workers know within 5 s, each asked on connections of its own."""
    user = f"u_{uuid.uuid4().hex}"
    with gateway.client() as operator:
        made = operator.post("/key/generate", json={"user_id": user, "tier": "free"}).json()

    def statuses(model):
        return {
            httpx.post(
                f"{gateway.url}{CHAT}", json=chat(model), headers={"authorization": f"Bearer {made['key']}"}
            ).status_code
            for _ in range(12)
        }

    assert {403} == statuses("gpt-4")
    gateway.new_key(user_id=user, tier="premium")
    wait_until(lambda: statuses("gpt-4") == {200}, 5)
    admin(gateway, "keys", "revoke", made["token_id"])
    wait_until(lambda: statuses("free-gemini-flash") == {401}, 5)


def test_limits_of_one_account_are_seen_by_every_worker_within_5_s(limited):
    """What the operator gives one account holds for it on both workers, to the request."""
    user = f"u_{uuid.uuid4().hex}"
    headers = {"authorization": f"Bearer {limited.new_key(user_id=user, tier='free')}"}

    def hourly():
        limits = httpx.get(f"{limited.url}/v1/user", headers=headers).json()["limits"]
        return [limit["limit"] for limit in limits if limit["unit"] == "requests"]

    assert [10, 50] == hourly()
    admin(limited, "limits", "set", user, "requests/1h=12", "requests/1d=none")
    wait_until(lambda: [[12]] * 12 == [hourly() for _ in range(12)], 5)
    answers = [httpx.post(f"{limited.url}{CHAT}", json=chat(), headers=headers) for _ in range(14)]

    assert [200] * 12 + [429] * 2 == [answer.status_code for answer in answers]
    assert "x-ratelimit-limit-requests" in answers[0].headers
    admin(limited, "limits", "clear", user)
    wait_until(lambda: [[10, 50]] * 12 == [hourly() for _ in range(12)], 5)


@pytest.mark.parametrize(
    ("headers", "user", "expected"),
    [
        ({}, "someone", (200, "free")),
        ({}, "scalix_someone", (200, "pro")),
        ({"x-user-tier": "premium"}, "someone", (200, "premium")),
        ({"x-user-id": "someone"}, None, (200, "free")),
        ({"x-user-id": "someone"}, "another", (400, None)),
        ({"x-user-tier": "gold"}, "someone", (400, None)),
        ({}, "scalix_" + "k" * 43, (401, None)),
        ({"x-scalix-key": "scalix_" + "k" * 43}, "someone", (401, None)),
        ({}, None, (200, None)),
    ],
)
def test_the_operator_acts_for_a_user(gateway, headers, user, expected):
    """The order of spec B2, seen in the answer's tier."""
    with gateway.client(MASTER_KEY, **headers) as operator:
        answer = operator.post(CHAT, json=chat(**({} if user is None else {"user": user})))

    status, tier = expected
    assert (status, tier) == (answer.status_code, answer.headers.get("x-scalix-tier")) or status != 200
    assert status == answer.status_code, answer.text


def test_on_behalf_bodies_are_allow_listed_like_a_users(gateway):
    """Acting for a user, even the operator may not pass what a user may not."""
    with gateway.client() as operator:
        answer = operator.post(CHAT, json=chat(user="someone", api_base="http://127.0.0.1:9"))

    assert (400, "api_base") == (answer.status_code, answer.json()["error"]["param"])


FAILURES = [
    "fail=400",
    "fail=401",
    "fail=403",
    "fail=404",
    "fail=429",
    "fail=500",
    "fail=503",
    "garbage=on",
    "cut_after=0",
]


@pytest.mark.parametrize("directive", FAILURES)
@pytest.mark.parametrize("is_stream", [False, True])
def test_a_providers_failure_is_never_the_users_401_or_429(gateway, provider, key, directive, is_stream):
    """Each failure has a category of ours, with the provider's words, key and address left out."""
    body = chat(stream=is_stream) | {"messages": [{"role": "user", "content": f"[demo {directive}]"}]}
    with gateway.client(key) as client:
        answer = client.post(CHAT, json=body)
    error = answer.json()["error"]

    assert answer.status_code in (400, 502, 503, 504)
    assert {"message", "title", "type", "param", "code", "category", "retryable", "retry_after_s"} <= set(
        error
    )
    for secret in (
        provider.base_url,
        provider.base_url.split("//")[1].split("/")[0],
        UPSTREAM_KEY,
        "demo provider",
    ):
        assert secret not in answer.text


def test_no_secret_shows_in_any_answer_or_log(gateway, provider, key):
    """After all kinds of calls: no key, no prompt, no provider's address, in headers, bodies or logs."""
    texts = []
    for directive in ("", *FAILURES):
        body = chat() | {"messages": [{"role": "user", "content": f"canary-prompt-8472 [demo {directive}]"}]}
        with gateway.client(key) as client:
            answer = client.post(CHAT, json=body)
        texts.append(json.dumps(dict(answer.headers)) + answer.text)
    address = provider.base_url.split("//")[1].split("/")[0]
    everything = "".join(texts) + gateway.logs()

    for secret in (key, MASTER_KEY, UPSTREAM_KEY, address, "canary-prompt-8472"):
        assert secret not in everything
    assert "x-litellm-" not in "".join(texts)
