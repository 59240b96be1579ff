"""Every way an answer can be made to fail."""

import asyncio
import json
from typing import Any

import httpx
import openai
import pytest

from scalix_callbacks.demo_provider.testing import DemoProviderServer

from .support import chat, frames, port_of, raw_request, read_until

PATHS = [
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi there!"}]}),
    ("/v1/completions", {"prompt": "Hi there!"}),
    ("/v1/responses", {"input": "Hi there!"}),
]


def told(calls: list[dict[str, Any]]) -> list[tuple[str, int | None, int, int]]:
    """Outcome, status, prompt and completion tokens of each call."""
    return [
        (call["outcome"], call["http_status"], call["prompt_tokens"], call["completion_tokens"])
        for call in calls
    ]


def token_frames(text: str) -> list[Any]:
    """The frames of a stream of any endpoint that carry a token."""
    sent = frames(text)
    of_responses = [frame for frame in sent if frame.get("delta")]
    choices = [choice for frame in sent for choice in frame.get("choices", [])]
    return of_responses + [c for c in choices if c.get("text") or c.get("delta", {}).get("content")]


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize(("path", "body"), PATHS)
def test_an_error_before_any_other_byte(
    provider: DemoProviderServer, http: httpx.Client, path: str, body: dict[str, Any], is_stream: bool
) -> None:
    """The status, the body and the headers of the script; nothing is billed."""
    error = {"error": {"message": "Out of tea", "type": "tea", "code": 418}, "more": [1]}
    provider.script(status=418, error=error, headers={"Retry-After": "7", "x-teapot": "yes"})
    answer = http.post(path, json={"model": "demo", "stream": is_stream, **body})

    assert (418, error) == (answer.status_code, answer.json())
    assert ("7", "yes") == (answer.headers["retry-after"], answer.headers["x-teapot"])
    assert [("error", 418, 0, 0)] == told(provider.calls())


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
def test_errors_by_model_name(client: openai.OpenAI, status: int, kind: type[openai.APIStatusError]) -> None:
    """OpenAI's SDK sees its own kinds of error."""
    with pytest.raises(kind) as refusal:
        client.chat.completions.create(
            model=f"demo-fail-{status}", messages=[{"role": "user", "content": "Hi"}]
        )

    assert status == refusal.value.status_code
    assert f"The demo provider was told to fail with status {status}." in refusal.value.message


@pytest.mark.parametrize("path_and_body", PATHS)
def test_a_failure_in_mid_stream(
    provider: DemoProviderServer, http: httpx.Client, path_and_body: tuple[str, dict[str, Any]]
) -> None:
    """Some tokens, then an error frame, then the end without [DONE]; what was sent is billed."""
    path, body = path_and_body
    provider.script(fail_after_tokens=2, error={"error": {"message": "Tea is out", "code": "tea"}})
    answer = http.post(path, json={"model": "demo", "stream": True, **body})
    sent = frames(answer.text)

    assert 200 == answer.status_code
    assert ("Tea is out", "tea") == (sent[-1]["error"]["message"], sent[-1]["error"]["code"])
    assert "[DONE]" not in sent
    assert [("failed_midstream", 200, 3, 2)] == told(provider.calls())


def test_a_failure_in_mid_stream_raises_in_the_sdk(client: openai.OpenAI) -> None:
    """The SDK hands out the tokens that came, then raises."""
    stream = client.chat.completions.create(
        model="demo-fail-midstream", messages=[{"role": "user", "content": "Hi"}], stream=True
    )
    texts: list[str] = []
    with pytest.raises(openai.APIError, match="told to fail"):
        texts += [chunk.choices[0].delta.content or "" for chunk in stream]
    with pytest.raises(openai.APIError, match="told to fail"):
        list(client.responses.create(model="demo-fail-midstream", input="Hi", stream=True))


def test_a_failure_as_the_first_frame(provider: DemoProviderServer, http: httpx.Client) -> None:
    """After 0 tokens the error is all there is, under status 200."""
    answer = http.post("/v1/chat/completions", json=chat("Hi [demo fail_after=0]", stream=True))

    assert 200 == answer.status_code
    assert 1 == len(frames(answer.text))
    assert "error" in frames(answer.text)[0]
    assert [("failed_midstream", 200, 7, 0)] == told(provider.calls())


def test_a_mid_stream_failure_of_a_whole_answer_is_a_500(
    provider: DemoProviderServer, http: httpx.Client
) -> None:
    """What is not streamed cannot fail half way."""
    answer = http.post("/v1/chat/completions", json=chat("[demo fail_after=4]"))

    assert 500 == answer.status_code
    assert [("error", 500, 0, 0)] == told(provider.calls())


@pytest.mark.parametrize("after", [0, 1, 5])
@pytest.mark.parametrize(("path", "body"), PATHS)
def test_a_stream_that_is_cut(
    provider: DemoProviderServer, http: httpx.Client, path: str, body: dict[str, Any], after: int
) -> None:
    """The connection drops without a proper end, after exactly the tokens of the script."""
    provider.script(cut_after_tokens=after)
    received = b""
    with http.stream("POST", path, json={"model": "demo", "stream": True, **body}) as answer:
        assert 200 == answer.status_code
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
            for part in answer.iter_raw():
                received += part

    assert after == len(token_frames(received.decode()))
    assert [("cut", 200, 3, after)] == told(provider.calls())


@pytest.mark.parametrize("after", [0, 3])
def test_a_whole_answer_that_is_cut(provider: DemoProviderServer, http: httpx.Client, after: int) -> None:
    """The headers, and half of the body unless cut at 0; no completion is billed."""
    received = b""
    body = chat(f"Hi [demo cut_after={after}]")
    with (
        http.stream("POST", "/v1/chat/completions", json=body) as answer,
        pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"),
    ):
        for part in answer.iter_raw():
            received += part

    assert (after > 0) == bool(received)
    assert [("cut", 200, 7, 0)] == told(provider.calls())


def test_a_breakdown_beyond_the_end_does_nothing(provider: DemoProviderServer, http: httpx.Client) -> None:
    """A stream of two tokens cannot be cut after three, but after two."""
    provider.script(cut_after_tokens=3, tokens=2)
    streamed = http.post("/v1/chat/completions", json=chat(stream=True))
    whole = http.post("/v1/chat/completions", json=chat())

    assert "[DONE]" == frames(streamed.text)[-1]
    assert 2 == whole.json()["usage"]["completion_tokens"]
    provider.script(cut_after_tokens=2, tokens=2)
    with pytest.raises(httpx.RemoteProtocolError):
        http.post("/v1/chat/completions", json=chat(stream=True))


def test_garbage(provider: DemoProviderServer, client: openai.OpenAI, http: httpx.Client) -> None:
    """Status 200 and no JSON, streamed or not; nothing is billed."""
    whole = http.post("/v1/chat/completions", json=chat(model="demo-garbage"))
    with pytest.raises(json.JSONDecodeError):
        whole.json()
    stream = client.chat.completions.create(
        model="demo-garbage", messages=[{"role": "user", "content": "Hi"}], stream=True
    )
    with pytest.raises(json.JSONDecodeError):
        list(stream)

    assert 200 == whole.status_code
    assert [("error", 200, 0, 0)] * 2 == told(provider.calls())


@pytest.mark.parametrize("body", [chat("[demo hang]"), chat("[demo hang_after=2]"), chat(model="demo-hang")])
def test_a_call_that_hangs_before_its_first_byte(provider: DemoProviderServer, body: dict[str, Any]) -> None:
    """The client's own patience ends it, not the provider."""
    with (
        httpx.Client(trust_env=False, timeout=0.3, headers={"authorization": "Bearer k"}) as client,
        pytest.raises(httpx.ReadTimeout),
    ):
        client.post(f"{provider.base_url}/chat/completions", json=body)

    assert [("hang_up", None, 0, 0)] == told(provider.wait_for_calls(1))


async def test_a_stream_that_hangs_times_out_in_the_sdk(
    provider: DemoProviderServer, async_client: openai.AsyncOpenAI
) -> None:
    """Tokens come, then nothing any more."""
    stream = await async_client.chat.completions.create(
        model="demo-stall", messages=[{"role": "user", "content": "Hi"}], stream=True, timeout=0.3
    )
    texts: list[str] = []
    with pytest.raises((openai.APITimeoutError, httpx.ReadTimeout)):
        async for chunk in stream:
            texts.append(chunk.choices[0].delta.content or "")
    calls = await asyncio.to_thread(provider.wait_for_calls, 1)

    assert ["", "Hello", " from", " the"] == texts
    assert [("hang_up", 200, 1, 3)] == told(calls)


def test_delays(provider: DemoProviderServer, http: httpx.Client) -> None:
    """A delay comes before the first byte, and another before each token, streamed or not."""
    directive = "[demo delay=0.05 delay_per_token=0.01 tokens=5]"
    http.post("/v1/chat/completions", json=chat(directive, stream=True))
    http.post("/v1/chat/completions", json=chat(directive))

    durations = [call["duration_ms"] for call in provider.calls()]
    assert all(99 <= duration < 5_000 for duration in durations)


def test_a_cut_comes_when_the_next_token_is_due(provider: DemoProviderServer, http: httpx.Client) -> None:
    """With a delay per token even the last token before a cut can be read in peace."""
    with pytest.raises(httpx.RemoteProtocolError):
        http.post("/v1/chat/completions", json=chat("[demo cut_after=1 delay_per_token=0.05]", stream=True))

    assert 99 <= provider.calls()[0]["duration_ms"] < 5_000


def test_a_slow_stream_arrives_as_it_is_made(provider: DemoProviderServer) -> None:
    """The first token can be read while the rest is still to come."""
    provider.script(delay_per_token_s=60, times=1)
    provider.script(hang_after_tokens=1, times=1)
    port = port_of(provider.url)
    with (
        raw_request(port, chat(stream=True)) as before_a_token,
        raw_request(port, chat(stream=True)) as after_one,
    ):
        assert b"assistant" in read_until(before_a_token, b'"role"')
        assert b"Hello" in read_until(after_one, b"Hello")
        assert 2 == provider.in_flight()
    provider.wait_for_in_flight(0)

    assert [0, 1] == sorted(call["completion_tokens"] for call in provider.calls())


@pytest.mark.parametrize("text", ["[demo fail=99]", "[demo what=1]"])
def test_a_bad_directive_is_a_400_that_says_why(http: httpx.Client, text: str) -> None:
    """The reason is in the error's message."""
    answer = http.post("/v1/chat/completions", json=chat(text))

    assert 400 == answer.status_code
    assert answer.json()["error"]["message"].startswith("Bad demo directive: ")


def test_a_bad_failing_model_is_a_400(http: httpx.Client) -> None:
    """A mistyped model name does not quietly succeed."""
    assert 400 == http.post("/v1/chat/completions", json=chat(model="demo-fail-x")).status_code


def test_who_decides(provider: DemoProviderServer, http: httpx.Client) -> None:
    """A queued script goes before the message, the message before the model, the model before the default."""

    def status(text: str, model: str) -> int:
        return http.post("/v1/chat/completions", json=chat(text, model=model)).status_code

    provider.script(status=501, times=1)

    assert 501 == status("[demo fail=502]", "demo-fail-503")
    assert 502 == status("[demo fail=502]", "demo-fail-503")
    assert 503 == status("Hi", "demo-fail-503")
    assert 200 == status("Hi", "demo")


def test_only_the_last_user_message_directs(http: httpx.Client) -> None:
    """A directive of an earlier turn, or one by another role, is history."""
    messages = [
        {"role": "user", "content": "[demo fail=503]"},
        {"role": "assistant", "content": "[demo fail=504]"},
        {"role": "user", "content": [{"type": "text", "text": "[demo tokens=2]"}]},
        {"role": "system", "content": "[demo fail=505]"},
    ]
    answer = http.post("/v1/chat/completions", json={"model": "demo", "messages": messages})

    assert ["Hello from"] == [choice["message"]["content"] for choice in answer.json()["choices"]]
