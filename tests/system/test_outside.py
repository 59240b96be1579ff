"""What a hostile caller or a broken provider can do from outside, on every endpoint."""

import json

import pytest

from tests.system.gateway_process import MASTER_KEY, UPSTREAM_KEY

CHAT = "/v1/chat/completions"
WORDS = "canary-prompt-9137"


def bodies(text: str, model: str = "free-gemini-flash") -> dict[str, dict[str, object]]:
    """One call of each endpoint."""
    messages = [{"role": "user", "content": text}]
    return {
        CHAT: {"model": model, "messages": messages},
        "/v1/completions": {"model": model, "prompt": text},
        "/v1/embeddings": {"model": model, "input": text},
        "/v1/responses": {"model": model, "input": text},
        "/v1/messages": {"model": model, "messages": messages, "max_tokens": 5},
    }


ENDPOINTS = tuple(bodies(""))


@pytest.fixture(scope="module")
def key(gateway):
    return gateway.new_key(tier="free")


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize(
    ("status", "told"),
    [
        (401, (502, "PROVIDER_AUTH")),
        (404, (503, "MODEL_UNAVAILABLE")),
        (429, (503, "PROVIDER_RATE_LIMITED")),
        (500, (502, "PROVIDER_ERROR")),
    ],
)
def test_a_providers_failure_is_the_same_on_every_endpoint(
    gateway, provider, key, path, status, told, is_stream
):
    """LiteLLM ignores the failure hook on some of them, and would show the provider's own words."""
    body = bodies(f"{WORDS} [demo fail={status}]")[path]
    if is_stream and path != "/v1/embeddings":
        body["stream"] = True
    for credential in (key, MASTER_KEY):
        with gateway.client(credential) as client:
            answer = client.post(path, json=body)

        assert told == (answer.status_code, answer.json()["error"]["code"])
        shown = answer.text + json.dumps(dict(answer.headers))
        for secret in (UPSTREAM_KEY, WORDS, provider.base_url.split("//")[1], "demo provider", "litellm."):
            assert secret not in shown


@pytest.mark.parametrize("path", ENDPOINTS)
def test_a_providers_422_is_no_empty_answer(gateway, key, path):
    """LiteLLM drops parameters, asks again, and takes the second 422 for the answer None."""
    with gateway.client(key) as client:
        answer = client.post(path, json=bodies("[demo fail=422]")[path])

    assert answer.json()["error"]["code"] in ("INVALID_REQUEST", "PROVIDER_ERROR")


@pytest.mark.parametrize(
    "fields",
    [
        {"tool_choice": {"type": "x"}},
        {"tool_choice": {"a": 1}},
        {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
        {"messages": [{"role": "assistant", "content": [{"type": "thinking"}]}]},
    ],
)
def test_what_litellm_cannot_translate_is_the_callers_mistake(gateway, key, fields):
    """Not a failure of ours: sending it again would not help."""
    with gateway.client(key) as client:
        answer = client.post("/v1/messages", json={**bodies(WORDS)["/v1/messages"], **fields})

    assert (400, "INVALID_REQUEST") == (answer.status_code, answer.json()["error"]["code"])


@pytest.mark.parametrize("tools", ["x", 5, True, {"a": 1}, [1], [None], [[]]])
@pytest.mark.parametrize("path", [CHAT, "/v1/messages", "/v1/responses"])
def test_the_operators_tools_are_a_list_of_objects(gateway, path, tools):
    """What kind of tools is the operator's choice; that they are tools is not."""
    with gateway.client() as operator:
        answer = operator.post(path, json={**bodies(WORDS)[path], "tools": tools})

    assert (400, "tools") == (answer.status_code, answer.json()["error"]["param"])


@pytest.mark.parametrize("query", ["{}", "{}=", "a=1&{}"])
def test_a_key_is_refused_as_a_name_in_the_address_too(gateway, key, query):
    """Addresses are kept in logs of everything on the way."""
    with gateway.client(key) as client:
        answer = client.get(f"/v1/models?{query.format(key)}")

    assert 400 == answer.status_code
    assert key not in answer.text


@pytest.mark.parametrize("amount", ["1e999999999", "1e-999999999", "sNaN", "-Infinity"])
def test_an_impossible_budget_is_no_500(gateway, amount):
    """Money of any size is read without a crash."""
    with gateway.client() as operator:
        answer = operator.post("/key/generate", json={"max_budget": amount})

    assert answer.status_code in (200, 400), answer.text
