"""What clients of each API see, and what is recorded: the same figures, and nothing they reject."""

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from scalix_callbacks.demo_provider.testing import DemoProviderServer
from tests.system.gateway_process import GatewayProcess, wait_until
from tests.system.test_limits import MODEL, records, user


@pytest.fixture
def name_and_client(gateway: GatewayProcess) -> Iterator[tuple[str, openai.OpenAI]]:
    """A new user, and OpenAI's SDK with the user's key."""
    name, key = user(gateway, "pro")
    with openai.OpenAI(api_key=key, base_url=f"{gateway.url}/v1", max_retries=0) as client:
        yield name, client


def the_record(gateway: GatewayProcess, name: str) -> dict[str, Any]:
    """Of this user's only call."""
    (record,) = records(gateway, name)
    return record


def tokens(record: dict[str, Any]) -> tuple[int, int]:
    return record["prompt_tokens"], record["completion_tokens"]


def billed(provider: DemoProviderServer) -> tuple[int, int]:
    """By the provider, for its last call."""
    call = wait_until(lambda: provider.tally()["calls"])[-1]
    return tokens(call)


def test_a_stream_of_text_completions_is_counted_by_its_provider(gateway, provider, name_and_client):
    """One chunk tells the usage, the last; it equals the provider's bill and the record."""
    provider.reset()
    name, client = name_and_client
    chunks = list(client.completions.create(model=MODEL, prompt="Hello there", max_tokens=20, stream=True))
    told = [(chunk.usage.prompt_tokens, chunk.usage.completion_tokens) for chunk in chunks if chunk.usage]
    record = the_record(gateway, name)

    assert [billed(provider)] == told == [tokens(record)]
    assert ([], "pro") == (chunks[-1].choices, chunks[-1].scalix["tier"])  # type: ignore[attr-defined]  # ours
    assert (False, "openai") == (record["estimated"], record["provider"])


def test_a_stream_of_a_response_ends_with_its_own_event(gateway, provider, name_and_client):
    """Strict clients know no event behind `response.completed`; what is left stands in it."""
    provider.reset()
    name, client = name_and_client
    with client.responses.stream(model=MODEL, input="Hello there") as stream:
        events = [event.type for event in stream]
        response = stream.get_final_response()

    assert "response.completed" == events[-1]
    assert 1 == events.count("response.completed")
    assert (response.usage.input_tokens, response.usage.output_tokens) == billed(provider)
    assert billed(provider) == tokens(the_record(gateway, name))
    assert "pro" == response.scalix["tier"]  # type: ignore[attr-defined]  # ours


@pytest.mark.parametrize("is_stream", [False, True])
def test_usage_that_no_provider_told_is_estimated(gateway, name_and_client, is_stream):
    """Shown to the client as it is recorded, and never as 0."""
    name, client = name_and_client
    answer = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "[demo usage=off tokens=50]"}],
        stream=is_stream,
    )
    usage = list(answer)[-1].usage if is_stream else answer.usage
    record = the_record(gateway, name)

    assert record["estimated"] is True
    assert (usage.prompt_tokens, usage.completion_tokens) == tokens(record)
    assert 40 <= usage.completion_tokens <= 80


def test_what_was_cached_and_thought_is_told(name_and_client):
    """In the last chunk, where the app reads it."""
    _, client = name_and_client
    directive = "[demo prompt_tokens=50 cached_tokens=5 completion_tokens=20 reasoning_tokens=3]"
    stream = client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": directive}], stream=True
    )
    usage = list(stream)[-1].usage

    assert (50, 20) == (usage.prompt_tokens, usage.completion_tokens)
    assert (5, 3) == (
        usage.prompt_tokens_details.cached_tokens,
        usage.completion_tokens_details.reasoning_tokens,
    )


@pytest.mark.parametrize(
    ("directive", "category"), [("fail_after=3", "PROVIDER_ERROR"), ("cut_after=3", "NETWORK_ERROR")]
)
def test_a_failure_in_the_middle_of_a_stream_is_readable(gateway, name_and_client, directive, category):
    """The client gets our message; the record holds what had come, and takes no request."""
    name, client = name_and_client
    stream = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": f"[demo {directive} delay_per_token=0.05]"}],
        stream=True,
    )
    with pytest.raises(openai.APIError, match="Try again") as failed:
        list(stream)
    record = the_record(gateway, name)

    assert failed.value.code == record["error_category"] == category
    assert ("error", 0, MODEL) == (record["outcome"], record["requests_counted"], record["model_used"])
    assert record["completion_tokens"] > 0
