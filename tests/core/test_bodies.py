"""What a request body may hold, endpoint by endpoint."""

import json
import time
from collections.abc import Mapping
from typing import Any, get_type_hints

import openai.types.chat.completion_create_params as chat_params
import openai.types.completion_create_params as completion_params
import openai.types.embedding_create_params as embedding_params
import openai.types.responses.response_create_params as response_params
import pytest
from hypothesis import given
from hypothesis import strategies as st
from litellm.types.utils import all_litellm_params

from scalix_callbacks.core.bodies import (
    DROPPED,
    MAX_DEPTH,
    MAX_NODES,
    Screened,
    is_internal,
    parse_body,
    screen,
    too_large,
)
from scalix_callbacks.core.endpoint_fields import FIELDS
from scalix_callbacks.core.errors import ErrorCategory, GatewayError
from scalix_callbacks.core.routes import Endpoint
from scalix_callbacks.proxy.internals import internal_fields

CANARY = "canary-7731"
INTERNAL = internal_fields()
HELLO = [{"role": "user", "content": "Hello"}]

MINIMAL: Mapping[Endpoint, dict[str, Any]] = {
    Endpoint.CHAT: {"model": "m", "messages": HELLO},
    Endpoint.COMPLETIONS: {"model": "m", "prompt": "Hello"},
    Endpoint.EMBEDDINGS: {"model": "m", "input": "Hello"},
    Endpoint.RESPONSES: {"model": "m", "input": "Hello"},
    Endpoint.MESSAGES: {"model": "m", "messages": HELLO, "max_tokens": 9},
}
"""The least each endpoint takes."""

NUMBERS: tuple[Any, ...] = (True, "1", [], {}, "")
TEXTS: tuple[Any, ...] = (1, True, [], {}, 1.5)
OBJECTS: tuple[Any, ...] = ("{}", 1, True, [])
SWITCHES: tuple[Any, ...] = ("true", 1, 0, [], {})
LISTS: tuple[Any, ...] = ("x", 1, {}, True)
TOKENS = ((1, 10_000_000), (*NUMBERS, 0, -1, 1.5, 10_000_001, 2**70))
TEMPERATURE = ((0, 2, 0.7), (*NUMBERS, -0.1, 2.1))
TOP_P = ((0, 1, 0.5), (*NUMBERS, -0.1, 1.1))
STOP = (("\n", ["a", "b"], []), (1, [1], {}, True, ["x"] * 17, "x" * 1_001))
PENALTY = ((-2, 0, 2), (*NUMBERS, -2.1, 2.1))
LOGIT_BIAS = (({"50256": -100}, {}), (*OBJECTS, {"1": "x"}, {"1": True}, {str(i): 0 for i in range(1_025)}))
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
TOOLS = (
    ([TOOL], [], [{"name": "f", "input_schema": {}}], [{"type": "custom", "name": "f"}]),
    (
        *LISTS,
        [1],
        [{"type": "web_search"}],
        [{"type": "mcp", "server_url": "x"}],
        [{"type": 1}],
        [TOOL] * 257,
    ),
)
TOOL_CHOICE = (("auto", {"type": "function", "function": {"name": "f"}}), (1, True, [], "x" * 65))
MESSAGES = ((HELLO,), (*LISTS, [], ["Hello"], [HELLO[0]] * 5_001))
THINKING = (
    (
        {"type": "enabled", "budget_tokens": 1_000},
        {"type": "enabled", "include_thoughts": True, "budget_tokens": -1},
        {"type": "disabled"},
        {"type": "adaptive"},
    ),
    (*OBJECTS, {}, {"type": "on"}, {"type": ["enabled"]}, {"type": "enabled", "budget_tokens": "x"}),
)
MODEL = (("gpt-4.1", "anthropic/claude-x", "x" * 200), (*TEXTS, "", "  ", "a\nb", "a\u0000b", "x" * 201))
STREAM = ((True, False), SWITCHES)
FILES = (
    ([{"path": "a.ts", "content": "x"}], []),
    (*LISTS, [1], [{"path": "a"}], [{"path": 1, "content": "x"}], [{"path": "a", "content": None}]),
)
OPTIONS = (
    (
        {},
        {"files": [{"path": "a.ts", "content": "x"}], "enable_lazy_edits": True},
        {"files": None, "smart_context_mode": "balanced", "enable_smart_files_context": False},
    ),
    (
        *OBJECTS,
        {"files": "x"},
        {"files": [{}]},
        {"enable_lazy_edits": 1},
        {"enable_smart_context": "yes"},
        {"smart_context_mode": "wild"},
        {"smart_context_mode": ["balanced"]},
    ),
)
CACHE = (
    ({}, {"no-cache": True, "no-store": False}, {"ttl": 3_600}),
    (*OBJECTS, {"namespace": "x"}, {"ttl": 3_601}, {"no-cache": 1}, {"use-cache": True}),
)
NOT_KEPT = ((False, "", None), ("resp_1", {"id": "conv_1"}, True))

COMMON = {"model": MODEL, "stream": STREAM}
COMPLETION = {
    **COMMON,
    "temperature": TEMPERATURE,
    "top_p": TOP_P,
    "stream_options": (({"include_usage": True}, {}), (*OBJECTS, {"include_usage": "yes"})),
    "n": ((1, 8), (*NUMBERS, 0, 9, 1.5)),
    "max_tokens": TOKENS,
    "stop": STOP,
    "presence_penalty": PENALTY,
    "frequency_penalty": PENALTY,
    "logit_bias": LOGIT_BIAS,
    "seed": ((0, -1, 2**63 - 1), (*NUMBERS, 1.5, 2**63)),
    "cache": CACHE,
}
VALUES: Mapping[Endpoint, Mapping[str, tuple[tuple[Any, ...], tuple[Any, ...]]]] = {
    Endpoint.CHAT: {
        **COMPLETION,
        "messages": MESSAGES,
        "max_completion_tokens": TOKENS,
        "max_output_tokens": TOKENS,
        "logprobs": STREAM,
        "top_logprobs": ((0, 20), (*NUMBERS, -1, 21)),
        "top_k": ((0, 40), (*NUMBERS, -1, 0.5)),
        "min_p": TOP_P,
        "tools": TOOLS,
        "tool_choice": TOOL_CHOICE,
        "parallel_tool_calls": STREAM,
        "functions": (([{"name": "f"}], []), (*LISTS, [1])),
        "function_call": TOOL_CHOICE,
        "response_format": (({"type": "json_schema", "json_schema": {"name": "x", "schema": {}}},), OBJECTS),
        "reasoning_effort": (("none", "minimal", "low", "medium", "high"), (*TEXTS, "", "huge")),
        "thinking": THINKING,
        "verbosity": (("low", "medium", "high"), (*TEXTS, "loud")),
        "modalities": ((["text"], ["text", "audio"]), (*LISTS, ["video"], [1])),
        "audio": (({"voice": "alloy", "format": "mp3"},), OBJECTS),
        "prediction": (({"type": "content", "content": "x"},), OBJECTS),
        "scalix_options": OPTIONS,
        "files": FILES,
    },
    Endpoint.COMPLETIONS: {
        **COMPLETION,
        "prompt": (("x", ["x"], ["x"] * 20), (1, True, {}, [], "", [1], [["x"]], ["x"] * 21)),
        "suffix": (("x", ""), (*TEXTS, "x" * 100_001)),
        "echo": STREAM,
        "logprobs": ((0, 5), (*NUMBERS, -1, 6)),
    },
    Endpoint.EMBEDDINGS: {
        "model": MODEL,
        "input": (
            ("x", ["x"], [1, 2], [[1], [2, 3]], ["x"] * 2_048),
            (1, True, {}, [], "", [""], ["x", 1], [[]], [["x"]], [True], [1.5], ["x"] * 2_049),
        ),
        "encoding_format": (("float", "base64"), (*TEXTS, "hex")),
        "dimensions": ((1, 100_000), (*NUMBERS, 0, 1.5)),
    },
    Endpoint.RESPONSES: {
        **COMMON,
        "temperature": TEMPERATURE,
        "top_p": TOP_P,
        "input": (("x", [{"role": "user", "content": "x"}]), (1, True, {}, [], "", ["x"], [{}] * 5_001)),
        "instructions": (("x",), TEXTS),
        "max_output_tokens": TOKENS,
        "tools": TOOLS,
        "tool_choice": TOOL_CHOICE,
        "parallel_tool_calls": STREAM,
        "reasoning": (({"effort": "low"},), OBJECTS),
        "text": (({"format": {"type": "text"}},), OBJECTS),
        "top_logprobs": ((0, 20), (*NUMBERS, -1, 21)),
        "include": ((["reasoning.encrypted_content"], []), ("x", [1], ["x"] * 21)),
        "truncation": (("auto", "disabled"), (*TEXTS, "off")),
        "previous_response_id": NOT_KEPT,
        "conversation": NOT_KEPT,
        "prompt": NOT_KEPT,
        "background": NOT_KEPT,
    },
    Endpoint.MESSAGES: {
        **COMMON,
        "temperature": TEMPERATURE,
        "top_p": TOP_P,
        "messages": MESSAGES,
        "max_tokens": TOKENS,
        "system": (("x", [{"type": "text", "text": "x"}]), (1, True, {}, ["x"], [{}] * 1_001)),
        "stop_sequences": ((["x"], []), (*LISTS, [1], ["x"] * 17)),
        "top_k": ((0, 40), (*NUMBERS, -1)),
        "tools": TOOLS,
        "tool_choice": (({"type": "auto"},), OBJECTS),
        "thinking": THINKING,
    },
}
"""Per field: values let through, values refused."""

OURS = ("scalix_options", "files", "cache")


def admit(endpoint: Endpoint, body: Mapping[str, Any], *, keep_unknown: bool = False) -> Screened:
    return screen(endpoint, body, internal=INTERNAL, keep_unknown=keep_unknown)


def refusal(endpoint: Endpoint, body: Mapping[str, Any]) -> GatewayError:
    with pytest.raises(GatewayError) as refused:
        admit(endpoint, body)
    return refused.value


def fields(which: int) -> list[Any]:
    """Every (endpoint, field, value) of the table above: 0 the right ones, 1 the wrong ones."""
    return [
        pytest.param(endpoint, name, value, id=f"{endpoint}-{name}-{i}")
        for endpoint, table in VALUES.items()
        for name, pair in table.items()
        for i, value in enumerate(pair[which])
    ]


# --- the fields, one by one ---------------------------------------------------------------------


@pytest.mark.parametrize("endpoint", Endpoint)
def test_the_tests_know_every_field_let_through(endpoint: Endpoint) -> None:
    """A field that is newly allowed needs examples of right and wrong values here."""
    assert set(VALUES[endpoint]) == set(FIELDS[endpoint])


@pytest.mark.parametrize(("endpoint", "name", "value"), fields(0))
def test_a_right_value_goes_on_unchanged(endpoint: Endpoint, name: str, value: Any) -> None:
    """What a client may say reaches the model as it was said."""
    body = {**MINIMAL[endpoint], name: value}
    expected = {key: item for key, item in body.items() if item is not None and key not in OURS}

    assert expected == admit(endpoint, body).body


@pytest.mark.parametrize(("endpoint", "name", "value"), fields(1))
def test_a_wrong_value_is_refused_by_the_fields_name(endpoint: Endpoint, name: str, value: Any) -> None:
    """A client learns which field to mend, and what it must be."""
    error = refusal(endpoint, {**MINIMAL[endpoint], name: value})

    assert (ErrorCategory.INVALID_REQUEST, name) == (error.category, error.param)
    assert error.message.startswith(f"{name} must be ")
    assert error.message.endswith(".")


@pytest.mark.parametrize(
    ("endpoint", "name"),
    [
        (Endpoint.CHAT, "model"),
        (Endpoint.CHAT, "messages"),
        (Endpoint.COMPLETIONS, "model"),
        (Endpoint.COMPLETIONS, "prompt"),
        (Endpoint.EMBEDDINGS, "model"),
        (Endpoint.EMBEDDINGS, "input"),
        (Endpoint.RESPONSES, "model"),
        (Endpoint.RESPONSES, "input"),
        (Endpoint.MESSAGES, "model"),
        (Endpoint.MESSAGES, "messages"),
        (Endpoint.MESSAGES, "max_tokens"),
    ],
)
@pytest.mark.parametrize("is_null", [True, False])
def test_a_missing_field_is_named(endpoint: Endpoint, name: str, is_null: bool) -> None:
    """Left out and null are the same: the client is told what to add."""
    body = {key: value for key, value in MINIMAL[endpoint].items() if key != name}
    error = refusal(endpoint, {**body, name: None} if is_null else body)

    assert (f"{name} is missing. Add it.", name) == (error.message, error.param)


@pytest.mark.parametrize("endpoint", Endpoint)
def test_null_means_not_given(endpoint: Endpoint) -> None:
    """SDKs send null for what was left open; it is no error and goes no further."""
    nulls = {name: None for name in FIELDS[endpoint].keys() - set(MINIMAL[endpoint])}

    assert MINIMAL[endpoint] == admit(endpoint, {**MINIMAL[endpoint], **nulls}).body


@pytest.mark.parametrize(("stream", "expected"), [(True, True), (False, False), (None, False)])
def test_a_stream_is_asked_for_by_true(stream: bool | None, expected: bool) -> None:
    """Only `stream: true` is a stream."""
    assert expected is admit(Endpoint.CHAT, {**MINIMAL[Endpoint.CHAT], "stream": stream}).is_stream


def test_the_model_asked_for_is_told() -> None:
    """Whoever decides about the model reads the very name that goes on."""
    assert "m" == admit(Endpoint.CHAT, MINIMAL[Endpoint.CHAT]).model


# --- what is not let through ---------------------------------------------------------------------


@pytest.mark.parametrize("endpoint", Endpoint)
@pytest.mark.parametrize("name", [*sorted(DROPPED), "favourite_colour", "web_search_options", "mcp_servers"])
def test_what_is_harmless_is_dropped(endpoint: Endpoint, name: str) -> None:
    """Clients may send what they like to say about themselves; no provider gets it."""
    body = {**MINIMAL[endpoint], name: {"any": "thing"}}

    assert MINIMAL[endpoint] == admit(endpoint, body).body


@pytest.mark.parametrize("name", sorted(set(map(str, all_litellm_params)) - DROPPED - {"cache"}))
def test_what_steers_litellm_is_refused_by_name(name: str) -> None:
    """Every field the installed LiteLLM takes for itself, so that an upgrade of it opens nothing."""
    for endpoint in Endpoint:
        error = refusal(endpoint, {**MINIMAL[endpoint], name: "x"})

        assert (ErrorCategory.INVALID_REQUEST, name) == (error.category, error.param)
        assert f"The field {name} is not open to callers. Remove it." == error.message


def test_no_field_of_litellms_own_is_let_through() -> None:
    """If LiteLLM begins to read one of our fields as its own, this fails."""
    allowed = frozenset().union(*FIELDS.values())

    # Ours has LiteLLM's name, three of its fields, and is taken out of the body.
    assert {"cache"} == allowed & INTERNAL
    assert [] == [name for name in sorted(allowed) if is_internal(name)]


def test_metadata_is_the_only_field_of_litellms_own_that_is_dropped_silently() -> None:
    """OpenAI's API has it too, so that honest clients send it."""
    assert {"metadata"} == DROPPED & INTERNAL


@pytest.mark.parametrize(
    "name",
    [
        "api_base",
        "API_BASE",
        "api_key",
        "base_url",
        "mock_response",
        "mock_testing_fallbacks",
        "litellm_metadata",
        "litellm_anything_new",
        "callbacks",
        "success_callback",
        "timeout",
        "extra_headers",
        "extra_body",
        "user_api_key_dict",
        "user_config",
        "deployment_id",
        "drop_params",
        "organization",
        "aws_region_name",
        "vertex_project",
        "azure_ad_token",
        "some_new_cost_per_token",
        "proxy_server_request",
        "_private",
        "x-litellm-tags",
    ],
)
def test_what_steers_a_proxy_is_refused_also_where_litellm_does_not_list_it(name: str) -> None:
    """Addresses, credentials, prices and hooks are nobody's to send, in any case of letters."""
    without_litellms_list = {"internal": frozenset[str]()}
    with pytest.raises(GatewayError) as refused:
        screen(Endpoint.CHAT, {**MINIMAL[Endpoint.CHAT], name: CANARY}, **without_litellms_list)

    assert name == refused.value.param
    assert CANARY not in refused.value.message


def test_an_odd_name_is_shown_without_its_oddities() -> None:
    """The message is rendered as Markdown: a field's name cannot become a link or a line of its own."""
    error = refusal(Endpoint.CHAT, {**MINIMAL[Endpoint.CHAT], "_[x](http://e.example)\n" + "y" * 99: 1})

    assert "_?x??http???e?example??" + "y" * 41 == error.param
    assert f"The field {error.param} is not open to callers. Remove it." == error.message


def test_options_and_files_are_taken_out_of_the_body() -> None:
    """The user's code is for the pack alone."""
    files = [{"path": "a.ts", "content": CANARY}]
    screened = admit(
        Endpoint.CHAT,
        {**MINIMAL[Endpoint.CHAT], "scalix_options": {"files": files, "enable_lazy_edits": True}},
    )

    assert {"files": files, "enable_lazy_edits": True} == screened.options
    assert MINIMAL[Endpoint.CHAT] == screened.body


def test_files_may_stand_at_the_top() -> None:
    """Older clients send them there; those inside of the options count first."""
    above, inside = [{"path": "a", "content": "1"}], [{"path": "b", "content": "2"}]
    body = {**MINIMAL[Endpoint.CHAT], "files": above}

    assert {"files": above} == admit(Endpoint.CHAT, body).options
    assert {"files": inside} == admit(Endpoint.CHAT, {**body, "scalix_options": {"files": inside}}).options
    assert admit(Endpoint.CHAT, MINIMAL[Endpoint.CHAT]).options is None


@pytest.mark.parametrize("endpoint", Endpoint)
@pytest.mark.parametrize("keep_unknown", [True, False])
def test_options_and_files_never_stay_in_a_body(endpoint: Endpoint, keep_unknown: bool) -> None:
    """Not on another endpoint either, nor in the operator's own calls."""
    body = {**MINIMAL[endpoint], "scalix_options": {"files": []}, "files": []}

    assert MINIMAL[endpoint] == admit(endpoint, body, keep_unknown=keep_unknown).body


@pytest.mark.parametrize("endpoint", sorted(set(Endpoint) - {Endpoint.CHAT}))
@pytest.mark.parametrize("keep_unknown", [True, False])
def test_options_mean_nothing_beside_a_chat(endpoint: Endpoint, keep_unknown: bool) -> None:
    """They are dropped there, whatever they are."""
    screened = admit(
        endpoint, {**MINIMAL[endpoint], "scalix_options": 5, "files": "x"}, keep_unknown=keep_unknown
    )

    assert (MINIMAL[endpoint], None) == (screened.body, screened.options)


def test_the_operators_own_call_keeps_what_a_user_may_not_send() -> None:
    """The operator may steer LiteLLM, and use hosted tools and stored conversations."""
    chat = {**MINIMAL[Endpoint.CHAT], "api_base": "x", "metadata": {"a": 1}, "user": "u", "n": 99, "new": [1]}
    chat["tools"] = [{"type": "web_search"}]
    responses = {**MINIMAL[Endpoint.RESPONSES], "previous_response_id": "resp_1", "store": True}

    assert chat == admit(Endpoint.CHAT, chat, keep_unknown=True).body
    assert responses == admit(Endpoint.RESPONSES, responses, keep_unknown=True).body


def test_the_operators_own_call_is_checked_all_the_same() -> None:
    """A wrong type is a mistake whoever makes it."""
    with pytest.raises(GatewayError, match="temperature must be a number from 0 to 2"):
        admit(Endpoint.CHAT, {**MINIMAL[Endpoint.CHAT], "temperature": "hot"}, keep_unknown=True)


# --- real clients --------------------------------------------------------------------------------

CONSCIOUSLY_DROPPED = {
    "best_of",  # would multiply the price unseen
    "context_management",
    "include",
    "max_tool_calls",  # of hosted tools, which are not offered
    "moderation",
    "prompt_cache_options",
    "web_search_options",  # a hosted tool, with a price of its own
}
"""Parameters of OpenAI's API that go no further, beside DROPPED."""


@pytest.mark.parametrize(
    ("endpoint", "params", "expected"),
    [
        (Endpoint.CHAT, chat_params.CompletionCreateParamsStreaming, "messages"),
        (Endpoint.COMPLETIONS, completion_params.CompletionCreateParamsStreaming, "prompt"),
        (Endpoint.EMBEDDINGS, embedding_params.EmbeddingCreateParams, "dimensions"),
        (Endpoint.RESPONSES, response_params.ResponseCreateParamsStreaming, "instructions"),
    ],
)
def test_every_parameter_of_openais_sdk_is_known(endpoint: Endpoint, params: type, expected: str) -> None:
    """What the installed SDK can send is let through or dropped on purpose; a new one must be decided on."""
    names = set(get_type_hints(params))
    undecided = names - FIELDS[endpoint].keys() - DROPPED - CONSCIOUSLY_DROPPED - {"stream_options"}

    assert expected in names
    assert set() == undecided


@pytest.mark.parametrize("endpoint", [Endpoint.CHAT, Endpoint.COMPLETIONS])
def test_stream_options_are_let_through_where_usage_is_asked_for(endpoint: Endpoint) -> None:
    """On responses they only pad the stream, and are dropped."""
    assert "stream_options" in FIELDS[endpoint]
    assert "stream_options" not in FIELDS[Endpoint.RESPONSES]


WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
DESKTOP_APP = {
    "model": "gemini/gemini-2.5-pro",
    "max_tokens": 65_535,
    "temperature": 0,
    "thinking": {"type": "enabled", "include_thoughts": True, "budget_tokens": -1},
    "messages": [
        {"role": "system", "content": "You build apps."},
        {"role": "user", "content": [{"type": "text", "text": "A todo list, please."}]},
        {"role": "assistant", "content": '<scalix-write path="a.tsx">export default 1</scalix-write>'},
        {"role": "user", "content": "Now blue."},
    ],
    "stream": True,
}
REAL_BODIES = {
    "desktop app, gateway path": (Endpoint.CHAT, DESKTOP_APP, set()),
    "desktop app, OpenAI model": (
        Endpoint.CHAT,
        {"model": "gpt-5", "reasoning_effort": "medium", "messages": HELLO, "stream": True},
        set(),
    ),
    "desktop app, engine path": (
        Endpoint.CHAT,
        {
            **DESKTOP_APP,
            "scalix_options": {
                "files": [{"path": "src/App.tsx", "content": "export default () => null"}],
                "enable_lazy_edits": True,
                "enable_smart_files_context": True,
                "smart_context_mode": "balanced",
            },
        },
        {"scalix_options"},
    ),
    "OpenAI SDK, tools and JSON": (
        Endpoint.CHAT,
        {
            "model": "gpt-4.1",
            "messages": [
                {"role": "developer", "content": "Be short."},
                {"role": "user", "content": "Weather in Oslo?", "name": "ada"},
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {"id": "call_1", "type": "function", "function": {"name": "w", "arguments": "{}"}}
                    ],
                },
                {"role": "tool", "tool_call_id": "call_1", "content": "4 °C"},
            ],
            "tools": [{"type": "function", "function": {"name": "w", "parameters": WEATHER, "strict": True}}],
            "tool_choice": "auto",
            "parallel_tool_calls": False,
            "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": WEATHER}},
            "max_completion_tokens": 512,
            "stream": True,
            "stream_options": {"include_usage": True},
            "seed": 7,
            "user": "user-1",
            "store": False,
            "metadata": {"trace": "1"},
        },
        {"user", "store", "metadata"},
    ),
    "Vercel AI SDK": (
        Endpoint.CHAT,
        {
            "model": "free-gemini-flash",
            "max_tokens": 8_000,
            "temperature": 0,
            "messages": [
                {"role": "system", "content": "x"},
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "What is it?"},
                        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
                    ],
                },
                {"role": "assistant", "content": "", "tool_calls": [{"id": "1", "type": "function"}]},
                {"role": "tool", "tool_call_id": "1", "content": '{"a":1}'},
            ],
            "tools": [
                {"type": "function", "function": {"name": "t", "description": "d", "parameters": WEATHER}}
            ],
            "tool_choice": {"type": "function", "function": {"name": "t"}},
            "stream": True,
            "stream_options": {"include_usage": True},
        },
        set(),
    ),
    "LangChain": (
        Endpoint.CHAT,
        {
            "model": "gpt-4.1",
            "messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}],
            "n": 1,
            "temperature": 0.7,
            "stop": ["\nObservation:"],
            "stream": False,
            "logit_bias": None,
            "presence_penalty": None,
        },
        {"logit_bias", "presence_penalty"},
    ),
    "Anthropic SDK": (
        Endpoint.MESSAGES,
        {
            "model": "anthropic/claude-sonnet-4-5",
            "max_tokens": 1_024,
            "system": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}],
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "x"}]},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "t", "input": {}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "y"}]},
            ],
            "tools": [{"name": "t", "description": "d", "input_schema": WEATHER}],
            "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
            "thinking": {"type": "enabled", "budget_tokens": 1_024},
            "stop_sequences": ["END"],
            "stream": True,
            "metadata": {"user_id": "u"},
        },
        {"metadata"},
    ),
    "OpenAI SDK, responses": (
        Endpoint.RESPONSES,
        {
            "model": "gpt-5",
            "input": [{"role": "user", "content": [{"type": "input_text", "text": "x"}]}],
            "instructions": "y",
            "max_output_tokens": 100,
            "reasoning": {"effort": "low", "summary": "auto"},
            "text": {"format": {"type": "text"}, "verbosity": "low"},
            "store": False,
            "include": ["reasoning.encrypted_content"],
            "stream": True,
        },
        {"store"},
    ),
    "OpenAI SDK, embeddings": (
        Endpoint.EMBEDDINGS,
        {"model": "e", "input": [[9906, 1917]], "encoding_format": "base64"},
        set(),
    ),
}


@pytest.mark.parametrize("name", REAL_BODIES)
def test_what_real_clients_send_arrives_unharmed(name: str) -> None:
    """All but what is dropped on purpose goes on, value by value."""
    endpoint, body, dropped = REAL_BODIES[name]
    screened = admit(endpoint, parse_body(json.dumps(body).encode()))

    assert {key: value for key, value in body.items() if key not in dropped} == screened.body
    assert body["model"] == screened.model


# --- bytes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", "The request body is empty. Send a JSON object."),
        (b" \r\n\t ", "The request body is empty. Send a JSON object."),
        (
            b"canary-7731",
            "The request body is not valid JSON (line 1, column 1: unexpected character, expected a JSON"
            " value). Correct it.",
        ),
        (
            b'{"a": canary-7731}',
            "The request body is not valid JSON (line 1, column 7: unexpected character, expected a JSON"
            " value). Correct it.",
        ),
        (
            b'{"a": 1,\n "b": "canary-7731',
            "The request body is not valid JSON (line 2, column 19: unexpected end of data). Correct it.",
        ),
        (
            b'{"a": 1} canary-7731',
            "The request body is not valid JSON (line 1, column 10: unexpected content after document)."
            " Correct it.",
        ),
        (
            b'\xef\xbb\xbf{"a": 1}',
            "The request body is not valid JSON (line 1, column 1: UTF-8 byte order mark (BOM) is not"
            " supported). Correct it.",
        ),
        (
            '{"a": "canary-7731-\xe9"}'.encode("latin-1"),
            "The request body is not valid JSON: it is not in UTF-8. Correct its encoding.",
        ),
        (b'["canary-7731"]', "The request body must be a JSON object. Wrap the fields in { }."),
        (b'"canary-7731"', "The request body must be a JSON object. Wrap the fields in { }."),
        (b"7731", "The request body must be a JSON object. Wrap the fields in { }."),
        (b"null", "The request body must be a JSON object. Wrap the fields in { }."),
    ],
)
def test_what_is_no_object_is_refused_without_repeating_it(raw: bytes, expected: str) -> None:
    """The client learns where its JSON breaks; nothing of what it sent stands in the answer."""
    with pytest.raises(GatewayError) as refused:
        parse_body(raw)

    assert expected == refused.value.message
    assert 400 == refused.value.status


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a": "\xff\xfe"}',
        b'{"a": "\xed\xa0\x80"}',
        rb'{"a": "\ud800"}',
        rb'{"a": "\udc00\ud800"}',
        b'\xef\xbb\xbf{"a": 1}',
        '{"a": 1}'.encode("utf-16"),
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a": ' + b"9" * 400 + b"}",
        b'{"a": 01}',
        b"{'a': 1}",
        b'{"a": 1,}',
        b'{"a": "\x01"}',
        b'{"a": 1}{"b": 2}',
    ],
)
def test_what_other_readers_would_understand_differently_is_refused(raw: bytes) -> None:
    """Odd encodings, numbers beyond all bounds and half a JSON are mistakes, told as such."""
    with pytest.raises(GatewayError, match="not valid JSON") as refused:
        parse_body(raw)

    assert 400 == refused.value.status


def test_the_last_of_two_equal_fields_counts_for_everyone() -> None:
    """What is checked is what goes on: the body is written anew."""
    assert {"model": "b"} == parse_body(b'{"model": "a", "model": "b"}')


def test_depth_is_bounded() -> None:
    """64 levels are enough for any JSON schema; the object itself is the first."""

    def nested(levels: int) -> bytes:
        return b'{"a":' * levels + b"1" + b"}" * levels

    assert isinstance(parse_body(nested(MAX_DEPTH)), dict)
    with pytest.raises(GatewayError, match="nested deeper than 64 levels"):
        parse_body(nested(MAX_DEPTH + 1))


@pytest.mark.parametrize(
    "raw", [b'{"a":' + b"[" * 100_000, b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", b'{"a":' * 100_000]
)
def test_a_bomb_of_brackets_is_refused_quickly(raw: bytes) -> None:
    """A hundred thousand brackets cost neither the stack nor time."""
    began = time.process_time()
    with pytest.raises(GatewayError) as refused:
        parse_body(raw)

    assert 400 == refused.value.status
    assert "The request body is nested deeper than 64 levels. Flatten it." == refused.value.message
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":[' + b"0," * MAX_NODES + b"0]}",
        b'{"a":[' + b"[]," * (MAX_NODES // 2) + b'0],"b":[' + b"{}," * (MAX_NODES // 2) + b"0]}",
    ],
)
def test_the_number_of_values_is_bounded(raw: bytes) -> None:
    """Flat or nested: half a million values are more than any request needs."""
    with pytest.raises(GatewayError, match="more than 500000 values"):
        parse_body(raw)


def test_commas_in_a_text_are_no_values() -> None:
    """A long prompt is not taken for a long list."""
    text = "," * (MAX_NODES + 1)

    assert {"a": text} == parse_body(json.dumps({"a": text}).encode())


@given(st.binary(max_size=200))
def test_any_bytes_are_an_object_or_a_refusal(raw: bytes) -> None:
    """Nothing a client can send is an accident of ours."""
    try:
        assert isinstance(parse_body(raw), dict)
    except GatewayError as error:
        assert 400 == error.status


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(sorted({*INTERNAL, *DROPPED, *(n for fields in FIELDS.values() for n in fields)}))


@given(st.sampled_from(Endpoint), st.dictionaries(NAMES | st.text(max_size=9), JSON, max_size=9), st.data())
def test_whatever_is_let_through_is_allowed(
    endpoint: Endpoint, sent: dict[str, Any], data: st.DataObject
) -> None:
    """Any JSON at all ends in a body of allowed fields with their values as sent, or in a 400."""
    body = {**(MINIMAL[endpoint] if data.draw(st.booleans()) else {}), **sent}
    try:
        screened = admit(endpoint, body)
    except GatewayError as error:
        assert 400 == error.status
        return

    assert set(screened.body) <= FIELDS[endpoint].keys() - set(OURS)
    assert all(body[name] is value for name, value in screened.body.items())
    assert screened.model == body["model"]


@given(
    st.sampled_from(Endpoint),
    st.sampled_from(["", CANARY, [CANARY], {"x": CANARY}, [{"role": CANARY, "content": CANARY}]]),
    NAMES,
)
def test_a_refusal_never_repeats_a_value(endpoint: Endpoint, value: Any, name: str) -> None:
    """Prompts and keys end up in no error, whichever field they stand in."""
    try:
        admit(endpoint, {**MINIMAL[endpoint], name: value})
    except GatewayError as error:
        assert CANARY not in error.message


def test_a_body_that_is_too_large_is_told_the_limit() -> None:
    """The user learns how much fits."""
    error = too_large(20_000_000)

    assert 413 == error.status
    assert "The request body is larger than 20,000,000 bytes. Send fewer or smaller files." == error.message
