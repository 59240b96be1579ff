"""Chat completions as OpenAI's SDK and a bare HTTP client see them."""

import asyncio
import json

import httpx
import openai
import pytest

from scalix_callbacks.demo_provider.testing import DemoProviderServer

from .support import chat, contents, frames

DEFAULT_TEXT = (
    "Hello from the Scalix demo provider! This answer is made up on your own machine: "
    "no key and no network needed."
)


def test_a_whole_answer(client: openai.OpenAI) -> None:
    """An answer with text, finish reason and usage."""
    answer = client.chat.completions.create(
        model="demo", messages=[{"role": "user", "content": "Hi there, my secret friend!"}]
    )

    assert DEFAULT_TEXT == answer.choices[0].message.content
    assert "stop" == answer.choices[0].finish_reason
    assert "demo" == answer.model
    assert answer.usage is not None
    assert (7, 24, 31) == (
        answer.usage.prompt_tokens,
        answer.usage.completion_tokens,
        answer.usage.total_tokens,
    )


async def test_a_streamed_answer(async_client: openai.AsyncOpenAI) -> None:
    """Token by token the same text, then the finish reason, then the usage that was asked for."""
    stream = await async_client.chat.completions.create(
        model="demo",
        messages=[{"role": "user", "content": "Hi there!"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]

    texts = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert DEFAULT_TEXT == "".join(texts)
    assert 24 == len([text for text in texts if text])
    assert "assistant" == chunks[0].choices[0].delta.role
    assert "stop" == chunks[-2].choices[0].finish_reason
    assert [] == chunks[-1].choices
    assert chunks[-1].usage is not None
    assert (3, 24) == (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens)


def test_the_frames_of_a_stream(provider: DemoProviderServer, http: httpx.Client) -> None:
    """Role, tokens, finish, [DONE]; without being asked for, no usage."""
    answer = http.post("/v1/chat/completions", json=chat(stream=True, max_tokens=2))
    sent = frames(answer.text)

    assert "text/event-stream; charset=utf-8" == answer.headers["content-type"]
    assert answer.headers["x-request-id"].startswith("req_")
    deltas = [(frame["choices"][0]["delta"], frame["choices"][0]["finish_reason"]) for frame in sent[:-1]]
    expected = [
        ({"role": "assistant", "content": ""}, None),
        ({"content": "Hello"}, None),
        ({"content": " from"}, None),
        ({}, "length"),
    ]
    assert expected == deltas
    assert "[DONE]" == sent[-1]
    assert 1 == len({frame["id"] for frame in sent[:-1]})
    assert {"chat.completion.chunk"} == {frame["object"] for frame in sent[:-1]}
    assert [None] == [call["reported_usage"] for call in provider.calls()]


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
def test_the_length_is_limited_by_the_request(http: httpx.Client, limit: str) -> None:
    """An answer is never longer than asked for, and says that it was cut."""
    answer = http.post("/v1/chat/completions", json=chat() | {limit: 3}).json()

    assert ("Hello from the", "length") == (
        answer["choices"][0]["message"]["content"],
        answer["choices"][0]["finish_reason"],
    )
    assert {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6} == answer["usage"]


def test_several_choices(http: httpx.Client) -> None:
    """`n` answers, whole and streamed alike; usage counts them all."""
    whole = http.post("/v1/chat/completions", json=chat(n=3, max_tokens=5)).json()
    body = chat(n=3, max_tokens=5, stream=True, stream_options={"include_usage": True})
    streamed = frames(http.post("/v1/chat/completions", json=body).text)

    texts = [choice["message"]["content"] for choice in whole["choices"]]
    assert texts == ["".join(contents(streamed, index)) for index in range(3)]
    assert ["Hello from the Scalix demo", "Choice 2 from the Scalix", "Choice 3 from the Scalix"] == texts
    assert 15 == whole["usage"]["completion_tokens"]
    assert 15 == streamed[-2]["usage"]["completion_tokens"]


def test_usage_can_be_left_out(provider: DemoProviderServer, http: httpx.Client) -> None:
    """A provider that reports no usage, even when asked."""
    provider.script(report_usage=False)
    whole = http.post("/v1/chat/completions", json=chat()).json()
    body = chat(stream=True, stream_options={"include_usage": True})
    streamed = http.post("/v1/chat/completions", json=body).text

    assert "usage" not in whole
    assert "usage" not in streamed
    assert [None, None] == [call["reported_usage"] for call in provider.calls()]
    assert [24, 24] == [call["completion_tokens"] for call in provider.calls()]


def test_usage_can_be_made_up(provider: DemoProviderServer, http: httpx.Client) -> None:
    """Cached and reasoning tokens, or any count a test wants; the tally keeps both, told and sent."""
    usage = {"prompt_tokens": 100, "completion_tokens": 50, "cached_tokens": 40, "reasoning_tokens": 30}
    provider.script(usage=usage)
    whole = http.post("/v1/chat/completions", json=chat()).json()
    body = chat(stream=True, stream_options={"include_usage": True})
    streamed = frames(http.post("/v1/chat/completions", json=body).text)

    expected = {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "total_tokens": 150,
        "prompt_tokens_details": {"cached_tokens": 40},
        "completion_tokens_details": {"reasoning_tokens": 30},
    }
    assert expected == whole["usage"]
    assert expected == streamed[-2]["usage"]
    assert [expected, expected] == [call["reported_usage"] for call in provider.calls()]
    assert [(3, 24), (3, 24)] == [
        (call["prompt_tokens"], call["completion_tokens"]) for call in provider.calls()
    ]


def test_tool_calls(client: openai.OpenAI) -> None:
    """A tool call arrives the same, whole and streamed."""
    whole = client.chat.completions.create(
        model="demo-tools", messages=[{"role": "user", "content": "Rain?"}]
    )
    stream = client.chat.completions.create(
        model="demo-tools", messages=[{"role": "user", "content": "Rain?"}], stream=True
    )
    chunks = list(stream)

    assert whole.choices[0].message.tool_calls is not None
    call = whole.choices[0].message.tool_calls[0]
    assert call.type == "function"
    assert ("get_weather", {"city": "Zurich"}) == (call.function.name, json.loads(call.function.arguments))
    assert whole.choices[0].message.content is None
    deltas = [part for chunk in chunks for part in chunk.choices[0].delta.tool_calls or []]
    assert [call.id] == [part.id for part in deltas if part.id]
    pieces = [part.function.arguments or "" for part in deltas if part.function]
    assert call.function.arguments == "".join(pieces)
    assert "tool_calls" == chunks[-1].choices[0].finish_reason == whole.choices[0].finish_reason


def test_the_prompt_is_counted_over_all_messages_and_parts(http: httpx.Client) -> None:
    """Only text counts, wherever it stands."""
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Look here"}, {"type": "image_url"}]},
        {"role": "assistant", "content": None},
        {"role": "tool", "content": "done"},
    ]
    answer = http.post("/v1/chat/completions", json={"model": "demo", "messages": messages}).json()

    assert 6 == answer["usage"]["prompt_tokens"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": []}, "model"),
        ({"model": "demo"}, "messages"),
        ({"model": "demo", "messages": []}, "messages"),
        ({"model": "demo", "messages": ["Hi"]}, "messages"),
        (chat(max_tokens=0), "max_tokens"),
        (chat(max_tokens="9"), "max_tokens"),
        (chat(n=17), "n"),
        (chat(n=0), "n"),
        (chat(stream="yes"), "stream"),
        (chat(stream_options=[1]), "stream_options"),
        (chat("[demo tokens=100000]", n=3), "n"),
        ([], None),
    ],
)
def test_a_bad_request_names_the_field(http: httpx.Client, body: object, param: str | None) -> None:
    """OpenAI's error form, with the field to change."""
    answer = http.post("/v1/chat/completions", json=body)

    assert 400 == answer.status_code
    assert ("invalid_request_error", param) == (
        answer.json()["error"]["type"],
        answer.json()["error"]["param"],
    )


def test_a_body_that_is_no_json_is_refused(provider: DemoProviderServer, http: httpx.Client) -> None:
    """A broken body is an error, tallied without a model."""
    answer = http.post("/v1/chat/completions", content=b"{oops")

    assert 400 == answer.status_code
    assert [(None, "error", 400)] == [
        (call["model"], call["outcome"], call["http_status"]) for call in provider.calls()
    ]


def test_a_body_above_the_limit_is_refused(provider: DemoProviderServer, http: httpx.Client) -> None:
    """32 MiB are enough for everyone."""
    answer = http.post("/v1/chat/completions", content=b" " * (32 * 1024 * 1024 + 1))

    assert 413 == answer.status_code
    assert [] == provider.requests()


async def test_hundreds_of_streams_run_at_once(
    provider: DemoProviderServer, async_client: openai.AsyncOpenAI
) -> None:
    """No stream waits for another, and each one is whole."""

    async def text_of_stream() -> str:
        stream = await async_client.chat.completions.create(
            model="demo", messages=[{"role": "user", "content": "Hi"}], stream=True
        )
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    provider.script(delay_per_token_s=0.01)
    texts = await asyncio.gather(*(text_of_stream() for _ in range(200)))

    assert {DEFAULT_TEXT} == set(texts)
    assert 200 * 24 == provider.tally()["totals"]["completion_tokens"]
