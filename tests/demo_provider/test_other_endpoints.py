"""Completions, embeddings, responses and the list of models."""

import httpx
import openai
import pytest

from scalix_callbacks.demo_provider.testing import DemoProviderServer

from .support import AUTH, frames


def test_a_text_completion(client: openai.OpenAI) -> None:
    """Two prompts with two choices each are four choices."""
    answer = client.completions.create(model="demo", prompt=["Once upon", "a time"], n=2, max_tokens=2)

    assert ["Hello from", "Choice 2", "Choice 3", "Choice 4"] == [choice.text for choice in answer.choices]
    assert ["length"] * 4 == [choice.finish_reason for choice in answer.choices]
    assert answer.usage is not None
    assert (4, 8, 12) == (
        answer.usage.prompt_tokens,
        answer.usage.completion_tokens,
        answer.usage.total_tokens,
    )


def test_a_streamed_text_completion(http: httpx.Client) -> None:
    """Tokens, finish, usage, [DONE]."""
    body = {
        "model": "demo",
        "prompt": [11, 12, 13],
        "max_tokens": 2,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    sent = frames(http.post("/v1/completions", json=body).text)

    texts = [(frame["choices"][0]["text"], frame["choices"][0]["finish_reason"]) for frame in sent[:3]]
    assert [("Hello", None), (" from", None), ("", "length")] == texts
    assert {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5} == sent[3]["usage"]
    assert ["[DONE]"] == sent[4:]


def test_too_many_text_completions_are_refused(http: httpx.Client) -> None:
    """The choices of all prompts together are bounded."""
    answer = http.post("/v1/completions", json={"model": "demo", "prompt": ["a"] * 9, "n": 2})

    assert 400 == answer.status_code


def test_embeddings_are_the_same_for_the_same_text(client: openai.OpenAI) -> None:
    """Vectors of length 1; the SDK asks for base64 and reads it."""
    answer = client.embeddings.create(model="demo-embedding", input=["tea", "coffee", "tea"], dimensions=8)
    tea, coffee, again = [item.embedding for item in answer.data]

    assert tea == again
    assert tea != coffee
    assert 8 == len(tea)
    assert pytest.approx(1.0, abs=1e-5) == sum(value * value for value in tea)
    assert (3, 3) == (answer.usage.prompt_tokens, answer.usage.total_tokens)


def test_embeddings_as_plain_numbers_are_the_same(client: openai.OpenAI) -> None:
    """Both encodings carry one vector."""
    plain = client.embeddings.create(model="demo", input="tea", encoding_format="float").data[0].embedding
    packed = client.embeddings.create(model="demo", input="tea").data[0].embedding

    assert 16 == len(plain)
    assert pytest.approx(plain, abs=1e-6) == packed


def test_embeddings_are_tallied_without_completion(provider: DemoProviderServer, http: httpx.Client) -> None:
    """An embedding has only a prompt; token ids count one each."""
    http.post("/v1/embeddings", json={"model": "e", "input": [[1, 2, 3], [4]]})

    call = provider.calls()[0]
    assert ("embeddings", "e", 4, 0, "ok") == (
        call["endpoint"],
        call["model"],
        call["prompt_tokens"],
        call["completion_tokens"],
        call["outcome"],
    )
    assert {"prompt_tokens": 4, "total_tokens": 4} == call["reported_usage"]


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"input": []},
        {"input": [{}]},
        {"input": [[]]},
        {"input": "x", "encoding_format": "hex"},
        {"input": "x", "dimensions": 5_000},
        {"input": ["x"] * 2_049},
    ],
)
def test_bad_embeddings_are_refused(http: httpx.Client, bad: dict[str, object]) -> None:
    """What cannot be embedded is a 400."""
    assert 400 == http.post("/v1/embeddings", json={"model": "e", **bad}).status_code


def test_a_failing_embedding(provider: DemoProviderServer, client: openai.OpenAI) -> None:
    """Scripts work for embeddings too."""
    provider.script(status=429, headers={"retry-after": "9"})
    with pytest.raises(openai.RateLimitError) as refusal:
        client.embeddings.create(model="e", input="x")

    assert "9" == refusal.value.response.headers["retry-after"]


def test_a_response(client: openai.OpenAI) -> None:
    """Text and usage in the form of the Responses API."""
    answer = client.responses.create(model="demo", instructions="Be kind.", input="Hi there!")

    assert answer.output_text.startswith("Hello from the Scalix demo provider!")
    assert "completed" == answer.status
    assert answer.usage is not None
    assert (6, 24, 30) == (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.total_tokens)


def test_a_response_cut_by_the_request(client: openai.OpenAI) -> None:
    """Too short a limit makes it incomplete, and says why."""
    answer = client.responses.create(model="demo", input="Hi", max_output_tokens=2)

    assert ("incomplete", "Hello from") == (answer.status, answer.output_text)
    assert answer.incomplete_details is not None
    assert "max_output_tokens" == answer.incomplete_details.reason


async def test_a_streamed_response(async_client: openai.AsyncOpenAI) -> None:
    """The named events in their order, numbered; the last carries the whole response."""
    stream = await async_client.responses.create(
        model="demo",
        input=[{"role": "user", "content": [{"type": "input_text", "text": "Hi [demo tokens=2]"}]}],
        stream=True,
    )
    events = [event async for event in stream]

    expected = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert expected == [event.type for event in events]
    assert list(range(10)) == [event.sequence_number for event in events]
    last = events[-1]
    assert last.type == "response.completed"
    assert "Hello from" == last.response.output_text
    assert last.response.usage is not None
    assert 2 == last.response.usage.output_tokens


def test_a_streamed_response_that_is_cut(http: httpx.Client) -> None:
    """Items and response end as incomplete; no [DONE] in this API."""
    body = {"model": "demo", "input": "Hi", "max_output_tokens": 1, "stream": True}
    answer = http.post("/v1/responses", json=body)
    sent = frames(answer.text)

    assert "event: response.incomplete\n" in answer.text
    assert "response.incomplete" == sent[-1]["type"]
    assert "incomplete" == sent[-1]["response"]["output"][0]["status"]
    assert {"reason": "max_output_tokens"} == sent[-1]["response"]["incomplete_details"]


def test_a_streamed_response_with_text_and_a_tool_call(
    provider: DemoProviderServer, client: openai.OpenAI
) -> None:
    """Each output item is closed before the next one opens."""
    provider.script(text="Wait", tool_calls=[{"name": "f", "arguments": "{}"}])
    events = list(client.responses.create(model="demo", input="Hi", stream=True))

    expected = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert expected == [event.type for event in events]
    last = events[-1]
    assert last.type == "response.completed"
    assert ["message", "function_call"] == [item.type for item in last.response.output]
    whole = client.responses.create(model="demo", input="Hi")
    assert [item.type for item in last.response.output] == [item.type for item in whole.output]


@pytest.mark.parametrize("bad", [{}, {"input": []}, {"input": ["x"]}, {"input": "x", "max_output_tokens": 0}])
def test_a_bad_response_request_is_refused(http: httpx.Client, bad: dict[str, object]) -> None:
    """What cannot be answered is a 400."""
    assert 400 == http.post("/v1/responses", json={"model": "demo", **bad}).status_code


def test_the_models_are_listed(client: openai.OpenAI) -> None:
    """A newcomer finds the names that do something special."""
    names = [model.id for model in client.models.list()]

    assert {"demo", "demo-slow", "demo-hang", "demo-fail-429", "demo-embedding"} <= set(names)


def test_an_unknown_path_is_told_in_json(http: httpx.Client) -> None:
    """Clients read the error instead of stumbling over HTML."""
    answer = http.post("/v1/audio/speech", json={})

    assert 404 == answer.status_code
    assert "The demo provider has no such path." == answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/chat/completions"),
        ("POST", "/v1/completions"),
        ("POST", "/v1/embeddings"),
        ("POST", "/v1/responses"),
        ("GET", "/v1/models"),
    ],
)
def test_a_call_without_a_key_is_refused(provider: DemoProviderServer, method: str, path: str) -> None:
    """A proxy that forgets the provider's key is found out."""
    answer = httpx.request(method, provider.url + path, trust_env=False)

    assert (401, "invalid_api_key") == (answer.status_code, answer.json()["error"]["code"])


def test_the_expected_key_is_insisted_on() -> None:
    """With a key set, only that key opens the door."""
    with DemoProviderServer(key="right") as server:
        wrong = httpx.get(f"{server.base_url}/models", headers=AUTH, trust_env=False)
        right = httpx.get(
            f"{server.base_url}/models", headers={"authorization": "Bearer right"}, trust_env=False
        )
        with (
            openai.OpenAI(base_url=server.base_url, api_key="wrong", max_retries=0) as client,
            pytest.raises(openai.AuthenticationError),
        ):
            client.completions.create(model="demo", prompt="x")

        assert (401, 200) == (wrong.status_code, right.status_code)
        assert [("error", 401)] == [(call["outcome"], call["http_status"]) for call in server.calls()]
