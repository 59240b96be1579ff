"""A user's calls through the whole product: launcher, two workers, LiteLLM, a provider that keeps count."""

import httpx
import openai
import pytest

from tests.system.gateway_process import GatewayProcess

ASK = [{"role": "user", "content": "Say hello."}]


@pytest.fixture(scope="module")
def key(gateway: GatewayProcess) -> str:
    return gateway.new_key(tier="free")


@pytest.fixture
def sdk(gateway: GatewayProcess, key: str):
    with openai.OpenAI(api_key=key, base_url=f"{gateway.url}/v1", max_retries=0) as client:
        yield client


def test_a_json_answer_comes_through_openais_sdk(sdk):
    """The SDK that most clients use gets a plain answer with its usage."""
    answer = sdk.chat.completions.create(model="free-gemini-flash", messages=ASK, max_tokens=5)

    assert answer.model == "free-gemini-flash"
    assert answer.choices[0].message.content
    assert 5 == answer.usage.completion_tokens


def test_a_streamed_answer_comes_through_openais_sdk(sdk):
    """The stream is the same text in pieces, with a usage chunk for who asks for it."""
    stream = sdk.chat.completions.create(
        model="free-gemini-flash",
        messages=ASK,
        max_tokens=5,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)

    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert 5 == chunks[-1].usage.completion_tokens


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/completions", {"prompt": "Hello", "max_tokens": 3}),
        ("/v1/embeddings", {"input": "Hello"}),
        ("/v1/responses", {"input": "Hello", "max_output_tokens": 16}),
        ("/v1/messages", {"messages": ASK, "max_tokens": 3}),
        ("/chat/completions", {"messages": ASK, "max_tokens": 3}),
    ],
)
def test_every_endpoint_that_is_open_answers(gateway, key, path, body):
    """Each kind of call reaches the provider and comes back under the model's public name."""
    with gateway.client(key) as client:
        answer = client.post(path, json={"model": "free-gemini-flash", **body})

    assert 200 == answer.status_code, answer.text
    assert "free-gemini-flash" == answer.json()["model"]


def test_anthropics_own_key_header_works_on_its_own_route_alone(gateway, key):
    """Anthropic's SDK sends x-api-key; nowhere else is a key accepted there."""
    body = {"model": "free-gemini-flash", "messages": ASK, "max_tokens": 3}
    with gateway.client(None, **{"x-api-key": key}) as client:
        on_messages = client.post("/v1/messages", json=body)
        on_chat = client.post("/v1/chat/completions", json=body)

    assert 200 == on_messages.status_code
    assert 401 == on_chat.status_code


def test_a_models_wildcard_is_reached_by_the_full_name(gateway, provider):
    """`anthropic/*` serves any name below it, for a tier that has it."""
    pro = gateway.new_key(tier="pro")
    with gateway.client(pro) as client:
        answer = client.post(
            "/v1/chat/completions", json={"model": "anthropic/claude-x", "messages": ASK, "max_tokens": 2}
        )

    assert 200 == answer.status_code, answer.text


def test_a_failing_model_falls_back_within_the_tier(gateway, provider, key):
    """The user gets an answer although the model asked for fails."""
    provider.script(status=500, times=1)
    with gateway.client(key) as client:
        answer = client.post(
            "/v1/chat/completions", json={"model": "free-gemini-pro", "messages": ASK, "max_tokens": 2}
        )
    provider.reset()

    assert 200 == answer.status_code, answer.text


def test_a_model_without_credentials_is_unavailable_and_nobody_is_called(gateway, provider, key):
    """The gateway says that the model is not set up; no provider sees a call without a key."""
    before = provider.tally()["totals"]
    with gateway.client(key) as client:
        answer = client.post("/v1/chat/completions", json={"model": "free-without-key", "messages": ASK})

    assert (503, "MODEL_UNAVAILABLE") == (answer.status_code, answer.json()["error"]["code"])
    assert before == provider.tally()["totals"]


def test_the_list_holds_what_the_caller_may_use(gateway, key):
    """Free users see free models that work; the operator sees all that work."""
    with gateway.client(key) as user, gateway.client() as operator:
        listed = [entry["id"] for entry in user.get("/v1/models").json()["data"]]
        all_listed = [entry["id"] for entry in operator.get("/v1/models").json()["data"]]

    assert ["free-gemini-flash", "free-gemini-pro", "free-refused", "auto", "free-auto"] == listed
    assert {"gpt-4", "anthropic/*"} <= set(all_listed)
    assert "free-without-key" not in all_listed


def test_a_users_stream_that_breaks_ends_with_our_error(gateway, provider, key):
    """Half an answer, then one frame that says what happened in our words, then the end: no [DONE]."""
    body = {
        "model": "free-gemini-flash",
        "stream": True,
        "messages": [{"role": "user", "content": "[demo tokens=6 fail_after=2]"}],
    }
    with gateway.client(key) as client:
        text = client.post("/v1/chat/completions", json=body).text
    frames = [frame for frame in text.split("\n\n") if frame]

    assert frames[-1].startswith('data: {"error"')
    assert "[DONE]" not in text
    assert "told to fail" not in text


def test_openais_sdk_reads_our_errors(gateway, sdk):
    """The SDK raises its own class for the status and carries our message and code."""
    with pytest.raises(openai.PermissionDeniedError) as refused:
        sdk.chat.completions.create(model="gpt-4", messages=ASK)

    assert "MODEL_NOT_IN_TIER" == refused.value.code
    assert "[Upgrade to Premium](https://scalix.world/premium)" in refused.value.message


def test_a_stream_can_be_hung_up_and_the_provider_stops(gateway, provider, key):
    """A user who leaves does not leave a running call behind."""
    provider.reset()
    body = {
        "model": "free-gemini-flash",
        "stream": True,
        "messages": [{"role": "user", "content": "[demo tokens=500 delay_per_token=0.05]"}],
    }
    with gateway.client(key) as client, client.stream("POST", "/v1/chat/completions", json=body) as answer:
        next(answer.iter_lines())
    ended = provider.wait_for_calls(1)[0]

    assert "hang_up" == ended["outcome"]
    assert ended["completion_tokens"] < 500


def test_health_is_open_and_says_what_is_there(gateway):
    """Anyone may ask; nothing of the inside is told."""
    answer = httpx.get(f"{gateway.url}/v1/health")

    assert 200 == answer.status_code
    assert {"status", "proxy", "redis", "database", "outbox", "providers"} == set(answer.json())
    assert 200 == httpx.head(f"{gateway.url}/health").status_code
