"""The formats of OpenAI and of those who took them over."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from scalix_callbacks.demo_provider.chat_wire import ChatWire
from scalix_callbacks.demo_provider.completions_wire import CompletionsWire
from scalix_callbacks.demo_provider.dialects.dialect import Dialect, Incoming, bearer
from scalix_callbacks.demo_provider.dialects.reading import unknown
from scalix_callbacks.demo_provider.dialects.recorded import Recorded, Recording, load
from scalix_callbacks.demo_provider.errors import BadRequest, error_body, scripted_error
from scalix_callbacks.demo_provider.model_request import Endpoint, ModelRequest, read_request
from scalix_callbacks.demo_provider.responses_wire import ResponsesWire
from scalix_callbacks.demo_provider.usage import Usage
from scalix_callbacks.demo_provider.wire import AnswerHead, Wire

THOUGHT = "The demo provider thinks."
"""What answers with reasoning tokens show of their reasoning, where the provider shows any."""


def forgiving(incoming: Incoming) -> ModelRequest:
    """What OpenAI-compatible servers check: types of what they use, and nothing about the rest."""
    return read_request(Endpoint.CHAT, incoming.body)


def strict(incoming: Incoming) -> ModelRequest:
    """As OpenAI does: unknown fields are refused, and what a model does not have as well."""
    body = incoming.body
    field = unknown(body, _FIELDS)
    if field is not None:
        raise BadRequest(f"Unrecognized request argument supplied: {field}", param=None)
    request = read_request(Endpoint.CHAT, body)
    for message in body["messages"]:
        if message.get("role") not in _ROLES:
            raise BadRequest(
                f"Invalid value: '{message.get('role')}'. Supported values are: 'system', "
                "'assistant', 'user', 'function', 'tool', and 'developer'.",
                param="messages",
            )
    if _REASONING.match(request.model):
        _refuse_what_reasoning_models_lack(body)
    elif "reasoning_effort" in body and _PLAIN.match(request.model):
        raise BadRequest("Unrecognized request argument supplied: reasoning_effort")
    return request


def azure(incoming: Incoming) -> ModelRequest:
    """As OpenAI; the deployment stands in the path, and the address must name a version."""
    if "api-version" not in incoming.query:
        raise BadRequest(incoming.place, status=404, failure="no_api_version")
    return strict(
        Incoming(
            incoming.headers,
            incoming.query,
            incoming.place,
            {**incoming.body, "model": incoming.place},
        )
    )


def azure_key(headers: Mapping[str, str], query: Mapping[str, str]) -> str | None:
    """The key in `api-key`, or a token of Microsoft Entra."""
    return headers.get("api-key") or bearer(headers, query)


def openai_wire(head: AnswerHead, request: ModelRequest, promised: Usage | None) -> Wire:
    """OpenAI's own answer, which keeps its reasoning to itself."""
    return ChatWire(head, include_usage=request.include_usage)


def deepseek_wire(head: AnswerHead, request: ModelRequest, promised: Usage | None) -> Wire:
    """With the cache told as hits and misses, and the reasoning shown."""
    thought = _thought(promised)
    return ChatWire(head, include_usage=request.include_usage, usage_form=_deepseek_usage, thought=thought)


def openrouter_wire(head: AnswerHead, request: ModelRequest, promised: Usage | None) -> Wire:
    """Usage comes unasked, with its cost."""
    thought = _thought(promised)
    form = _openrouter_usage
    return ChatWire(head, include_usage=True, usage_form=form, thought=thought, thought_field="reasoning")


def plain_dialect(path: str, endpoint: Endpoint) -> Dialect:
    """The demo provider's own: OpenAI's format with words of ours, and any key."""
    wires: dict[Endpoint, Callable[[AnswerHead, ModelRequest, Usage | None], Wire]] = {
        Endpoint.CHAT: openai_wire,
        Endpoint.COMPLETIONS: lambda head, request, _: CompletionsWire(
            head, include_usage=request.include_usage
        ),
        Endpoint.RESPONSES: lambda head, _request, _: ResponsesWire(head),
        Endpoint.EMBEDDINGS: openai_wire,  # not streamed, and whole it is made elsewhere
    }
    return Dialect(
        name="",
        paths=(path,),
        credential=_any_authorization,
        read=lambda incoming: read_request(endpoint, incoming.body),
        wire=wires[endpoint],
        recorded=_PlainRecorded(load("openai")),
        is_at_root=True,
        endpoint=endpoint,
    )


class _PlainRecorded(Recorded):
    """OpenAI's failures by name, and our own words for what is not asked for by name."""

    def __init__(self, openai: Recorded) -> None:
        self._openai = openai

    @property
    def names(self) -> list[str]:
        return self._openai.names

    def named(self, name: str, *, model: str = "") -> Recording:
        return self._openai.named(name, model=model)

    def of_status(self, status: int, *, model: str = "") -> Recording:
        return Recording(status, scripted_error(status))

    def refusal(self, bad: BadRequest) -> Recording:
        message = bad.message if bad.failure is None else _WORDS[bad.failure]
        return Recording(bad.status, error_body(bad.status, message, param=bad.param))


_WORDS = {
    "missing_key": "You did not send an API key: an Authorization header such as 'Bearer KEY' is missing.",
    "invalid_key": "The API key is not the one this demo provider was started with.",
}


def _any_authorization(headers: Mapping[str, str], query: Mapping[str, str]) -> str | None:
    given = headers.get("authorization")
    return None if given is None else given.removeprefix("Bearer ")


def _refuse_what_reasoning_models_lack(body: Mapping[str, Any]) -> None:
    if body.get("max_tokens") is not None:
        raise BadRequest(
            "Unsupported parameter: 'max_tokens' is not supported with this model. "
            "Use 'max_completion_tokens' instead.",
            param="max_tokens",
        )
    if body.get("temperature") not in (None, 1):
        raise BadRequest(
            f"Unsupported value: 'temperature' does not support {body['temperature']} with this model. "
            "Only the default (1) value is supported.",
            param="temperature",
        )


def _thought(promised: Usage | None) -> str:
    return THOUGHT if promised is not None and promised.reasoning_tokens else ""


def _deepseek_usage(usage: Usage) -> dict[str, Any]:
    hits = usage.cached_tokens or 0
    misses = {"prompt_cache_hit_tokens": hits, "prompt_cache_miss_tokens": max(usage.prompt_tokens - hits, 0)}
    return {**usage.as_chat(), "prompt_tokens_details": {"cached_tokens": hits}, **misses}


def _openrouter_usage(usage: Usage) -> dict[str, Any]:
    return {
        **usage.as_chat(),
        "cost": 0.0,
        "is_byok": False,
        "cost_details": {"upstream_inference_cost": None},
    }


_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_REASONING = re.compile(r"(o\d|gpt-5)")
_PLAIN = re.compile(r"gpt-(3|4)")
_FIELDS = frozenset(
    {
        *("model", "messages", "audio", "frequency_penalty", "function_call", "functions", "logit_bias"),
        *("logprobs", "max_completion_tokens", "max_tokens", "metadata", "modalities", "n"),
        *(
            "parallel_tool_calls",
            "prediction",
            "presence_penalty",
            "prompt_cache_key",
            "prompt_cache_retention",
        ),
        *(
            "reasoning_effort",
            "response_format",
            "safety_identifier",
            "seed",
            "service_tier",
            "stop",
            "store",
        ),
        *("stream", "stream_options", "temperature", "tool_choice", "tools", "top_logprobs", "top_p", "user"),
        *("verbosity", "web_search_options"),
    }
)
"""Of https://platform.openai.com/docs/api-reference/chat/create."""
