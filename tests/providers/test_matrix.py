"""Each provider through LiteLLM's own adapter, against a server that speaks its wire format."""

import json
from typing import Any

import litellm
import pytest

from scalix_callbacks.core.errors import TABLE, ErrorCategory, GatewayError, render
from scalix_callbacks.demo_provider.dialects import DIALECTS
from scalix_callbacks.demo_provider.testing import DemoProviderServer
from scalix_callbacks.proxy.errors import to_gateway_error
from tests.providers.matrix import KEY, NAMES, WAYS, Way, call, chunks

pytestmark = [
    # LiteLLM's own: as errors they would change what it does.
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.usefixtures("litellm_as_configured"),
]
C = ErrorCategory
BILLED = "[demo prompt_tokens=900 completion_tokens=80 cached_tokens=300 reasoning_tokens=30]"
TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}]
each_way = pytest.mark.parametrize("way", WAYS, ids=NAMES)


def figures(usage: Any) -> tuple[int, int, int | None, int | None]:
    """Prompt, completion, cached and reasoning tokens, as LiteLLM tells them."""
    of_prompt, of_completion = usage.prompt_tokens_details, usage.completion_tokens_details
    return (
        usage.prompt_tokens,
        usage.completion_tokens,
        of_prompt and of_prompt.cached_tokens,
        of_completion and of_completion.reasoning_tokens,
    )


@each_way
async def test_a_whole_answer(way: Way, provider: DemoProviderServer) -> None:
    """It arrives at the provider's path with its key in the provider's header; text and usage come back."""
    answer = await call(way.params(provider), BILLED, max_tokens=100)
    request = provider.requests()[-1]

    assert way.path == request["path"]
    if way.key_in is not None:
        assert way.key_in[1] + KEY == request["headers"][way.key_in[0]]
    assert answer.choices[0].message.content.startswith("Hello from the Scalix demo provider!")
    assert "stop" == answer.choices[0].finish_reason
    expected = (900, 80, 300, 30) if way.reports_details else (900, 80, None, None)
    assert expected == figures(answer.usage)


@each_way
async def test_a_streamed_answer(way: Way, provider: DemoProviderServer) -> None:
    """The same in parts, with its usage at the end."""
    got = await chunks(way.params(provider), BILLED, max_tokens=100)
    texts = [choice.delta.content or "" for chunk in got for choice in chunk.choices]
    usages = [chunk.usage for chunk in got if getattr(chunk, "usage", None)]
    reasons = [choice.finish_reason for chunk in got for choice in chunk.choices if choice.finish_reason]

    assert "".join(texts).startswith("Hello from the Scalix demo provider!")
    assert sum(bool(text) for text in texts) > 5
    assert ["stop"] == reasons
    if way.reports_details:
        assert (900, 80, 300, 30) == figures(usages[-1])
    else:
        assert (900, 80) == figures(usages[-1])[:2]


@each_way
async def test_a_cut_answer_says_so(way: Way, provider: DemoProviderServer) -> None:
    """The limit on the output reaches the provider, and its reason to stop comes back."""
    whole = await call(way.params(provider), max_tokens=5)
    streamed = litellm.stream_chunk_builder(await chunks(way.params(provider), "Say hello.", max_tokens=5))

    assert ("length", 5) == (whole.choices[0].finish_reason, whole.usage.completion_tokens)
    assert "length" == streamed.choices[0].finish_reason  # type: ignore[union-attr]  # it is there


@each_way
async def test_a_tool_is_called(way: Way, provider: DemoProviderServer) -> None:
    """Whole and in parts, with its arguments."""
    provider.script(tool_calls=({"name": "get_weather", "arguments": '{"city": "Zurich"}'},))
    whole = await call(way.params(provider), tools=TOOLS)
    parts = await chunks(way.params(provider), "Say hello.", tools=TOOLS)
    answers = [whole, litellm.stream_chunk_builder(parts)]

    for answer in answers:
        choice = answer.choices[0]
        assert "tool_calls" == choice.finish_reason
        function = choice.message.tool_calls[0].function
        assert ("get_weather", {"city": "Zurich"}) == (function.name, json.loads(function.arguments))


# --- reasoning (F7) --------------------------------------------------------------------------------------

EFFORT = {"reasoning_effort": "low"}
THINKING = {"thinking": {"type": "enabled", "budget_tokens": 1_024}}
BUDGET = {"includeThoughts": True, "thinkingBudget": 1_024}
REASONING: list[tuple[str, str | None, dict[str, Any], dict[str, Any]]] = [
    # provider, another model of it, what is asked for, what arrives
    ("openai", "openai/gpt-5", EFFORT, EFFORT),
    ("openai", "openai/gpt-5", THINKING, {}),
    ("openai", None, EFFORT, {}),
    ("openai", None, THINKING, {}),
    ("anthropic", None, EFFORT, {"thinking": {"type": "adaptive", "display": "summarized"}}),
    ("anthropic", None, THINKING, THINKING),
    ("anthropic", "anthropic/claude-3-haiku-20240307", EFFORT, {}),
    ("anthropic", "anthropic/claude-3-haiku-20240307", THINKING, {}),
    ("gemini", None, EFFORT, {"thinkingConfig": BUDGET}),
    ("gemini", None, THINKING, {"thinkingConfig": BUDGET}),
    ("gemini", "gemini/gemini-2.0-flash", EFFORT, {}),
    ("gemini", "gemini/gemini-2.0-flash", THINKING, {}),
    ("azure", None, EFFORT, {}),
    ("azure", None, THINKING, {}),
    ("openrouter", None, EFFORT, {}),
    ("openrouter", None, THINKING, {}),
    ("deepseek", None, EFFORT, {"thinking": {"type": "enabled"}}),
    ("deepseek", None, THINKING, {"thinking": {"type": "enabled"}}),
    ("ollama", "ollama_chat/llama3.1", EFFORT, {}),
    ("ollama", "ollama_chat/llama3.1", THINKING, {}),
    ("lmstudio", None, EFFORT, {}),
    ("lmstudio", None, THINKING, {}),
    ("scalix-engine", None, EFFORT, EFFORT),
    ("scalix-gateway", None, EFFORT, EFFORT),
]


@pytest.mark.parametrize(("name", "model", "asked", "expected"), REASONING)
async def test_reasoning_reaches_the_models_that_have_it(
    name: str,
    model: str | None,
    asked: dict[str, Any],
    expected: dict[str, Any],
    provider: DemoProviderServer,
) -> None:
    """And is left out for the others, whose providers would refuse the whole request."""
    way = WAYS[NAMES.index(name)]
    params = way.params(provider)
    await call({**params, "model": model or params["model"]}, max_tokens=3_000, **asked)
    body = provider.requests()[-1]["body"]
    sent = {**body, **body.get("generationConfig", {})}
    words = ("thinking", "reasoning_effort", "thinkingConfig", "reasoning", "think")

    assert expected == {word: sent[word] for word in words if word in sent}


# --- failures --------------------------------------------------------------------------------------------

CATEGORIES = {
    "context_window": C.CONTEXT_WINDOW_EXCEEDED,
    "context_window_output": C.CONTEXT_WINDOW_EXCEEDED,
    "context_window_old": C.CONTEXT_WINDOW_EXCEEDED,
    "content_policy": C.CONTENT_POLICY,
    "content_policy_image": C.CONTENT_POLICY,
    "missing_key": C.PROVIDER_AUTH,
    "invalid_key": C.PROVIDER_AUTH,
    "expired_key": C.PROVIDER_AUTH,
    "unauthorized": C.PROVIDER_AUTH,
    "location": C.PROVIDER_AUTH,
    "no_credit": C.PROVIDER_AUTH,
    "billing": C.PROVIDER_AUTH,
    "forbidden": C.PROVIDER_AUTH,
    "not_found": C.MODEL_UNAVAILABLE,
    "no_api_version": C.MODEL_UNAVAILABLE,
    "no_such_model": C.MODEL_UNAVAILABLE,
    "not_loaded": C.MODEL_UNAVAILABLE,
    "no_tools": C.INVALID_REQUEST,
    "unreadable": C.INVALID_REQUEST,
    "too_large": C.REQUEST_TOO_LARGE,
    "rate_limited": C.PROVIDER_RATE_LIMITED,
    "rate_limited_upstream": C.PROVIDER_RATE_LIMITED,
    "quota": C.PROVIDER_RATE_LIMITED,
    "server_error": C.PROVIDER_ERROR,
    "upstream_failed": C.PROVIDER_ERROR,
    "no_memory": C.PROVIDER_ERROR,
    "late": C.PROVIDER_ERROR,
    "timeout": C.PROVIDER_TIMEOUT,
    "overloaded": C.PROVIDER_RATE_LIMITED,
    "overloaded_in_stream": C.PROVIDER_RATE_LIMITED,
}
WITHOUT_THE_WORD = {("azure", "overloaded"), ("openrouter", "overloaded"), ("lmstudio", "overloaded")} | {
    (name, "overloaded") for name in ("scalix-engine", "scalix-gateway")
}
"""Their 503 says nothing that tells it from a failure; either may be tried again."""
ANSWERS = {("gemini", "content_policy")}
"""Told as an answer without a text, which ends for `content_filter`."""
REQUIRED = {"context_window", "forbidden", "not_found", "rate_limited", "server_error", "overloaded"}


def expected_category(way: Way, failure: str) -> ErrorCategory | str:
    if (way.name, failure) in ANSWERS:
        return "content_filter"
    return C.PROVIDER_ERROR if (way.name, failure) in WITHOUT_THE_WORD else CATEGORIES[failure]


async def outcome(way: Way, provider: DemoProviderServer, failure: str, *, stream: bool) -> tuple[Any, str]:
    """The category of what LiteLLM raises, or why the answer ended, and all that a user would read of it."""
    text = f"CANARYPROMPT [demo error={failure}]"
    try:
        if stream:
            answer = litellm.stream_chunk_builder(await chunks(way.params(provider), text))
        else:
            answer = await call(way.params(provider), text)
    except Exception as error:  # any class: which one is LiteLLM's affair
        told = to_gateway_error(error)
        return told.category, json.dumps(render(told, "r"))
    return answer.choices[0].finish_reason, ""


@each_way
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_each_failure_has_its_category(way: Way, stream: bool, provider: DemoProviderServer) -> None:
    """And nothing the provider says about it reaches a user."""
    actual, told = {}, ""
    for failure in way.failures:
        actual[failure], text = await outcome(way, provider, failure, stream=stream)
        told += text

    assert {failure: expected_category(way, failure) for failure in way.failures} == actual
    secrets = [KEY, "CANARYPROMPT", "127.0.0.1", *(said(entry["body"]) for entry in way.failures.values())]
    ours = json.dumps(
        [render(GatewayError(category), "r") for category in C]
    )  # an upstream Scalix says the same
    assert [] == [secret for secret in secrets if secret in told and secret not in ours]
    assert {401, 403, 429} & {
        TABLE[c].status for c in actual.values() if isinstance(c, ErrorCategory)
    } == set()


def said(body: dict[str, Any]) -> str:
    """The words in a recorded body."""
    error = body.get("error", "promptFeedback")
    return str(error if isinstance(error, str) else error["message"])


@each_way
async def test_a_refused_key_is_the_gateways_matter(way: Way, provider: DemoProviderServer) -> None:
    """The user is told that the provider refused the gateway, and neither 401 nor the key."""
    params = way.params(provider, "sk-OTHERKEY-0123456789abcdef")
    if way.key_in is None:
        assert (await call(params)).choices[0].message.content
        return
    with pytest.raises(Exception) as caught:
        await call(params)
    told = to_gateway_error(caught.value)

    assert (C.PROVIDER_AUTH, 502) == (told.category, told.status)
    assert "OTHERKEY" not in json.dumps(render(told, "r"))


WAITS = {
    "openai": 2,
    "anthropic": 17,
    "gemini": 38,
    "azure": 8,
    "openrouter": 12,
    "deepseek": 3,
    "ollama": 4,
    "lmstudio": 4,
    "scalix-engine": 21,
    "scalix-gateway": 21,
}


@each_way
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_the_wait_a_provider_asks_for_is_passed_on(
    way: Way, stream: bool, provider: DemoProviderServer
) -> None:
    """From its header, or from its body where it stands there alone."""
    with pytest.raises(Exception) as caught:
        await (chunks if stream else call)(way.params(provider), "[demo error=rate_limited]")

    assert WAITS[way.name] == to_gateway_error(caught.value).retry_after_s


@each_way
async def test_a_stream_that_breaks_is_an_error(way: Way, provider: DemoProviderServer) -> None:
    """In the provider's own form of an error within a stream, after some of the text."""
    provider.script(fail_after_tokens=3, delay_per_token_s=0.01)
    with pytest.raises(Exception) as caught:
        await chunks(way.params(provider), "Say hello.")

    assert to_gateway_error(caught.value).category in (C.PROVIDER_ERROR, C.PROVIDER_RATE_LIMITED)


# --- the matrix itself -----------------------------------------------------------------------------------


def test_the_matrix_is_whole() -> None:
    """A dialect that nobody proves, or a provider without its failures, is found here."""
    assert {dialect.name for dialect in DIALECTS} == set(NAMES)
    assert {} == {way.name: missing for way in WAYS if (missing := REQUIRED - set(way.failures))}
    assert set() == {name for way in WAYS for name in way.failures} - set(CATEGORIES)
