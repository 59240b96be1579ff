"""The format of Google's Gemini API."""

import re
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from scalix_callbacks.demo_provider.answer import (
    ArgumentsToken,
    Choice,
    MadeCall,
    TextToken,
    Token,
    ToolCallToken,
)
from scalix_callbacks.demo_provider.dialects import reading
from scalix_callbacks.demo_provider.dialects.dialect import Incoming
from scalix_callbacks.demo_provider.dialects.openai_shaped import THOUGHT
from scalix_callbacks.demo_provider.errors import BadRequest
from scalix_callbacks.demo_provider.model_request import MAX_CHOICES, ModelRequest
from scalix_callbacks.demo_provider.script import FinishReason
from scalix_callbacks.demo_provider.usage import Usage
from scalix_callbacks.demo_provider.wire import EVENT_STREAM, AnswerHead, event


def key(headers: Mapping[str, str], query: Mapping[str, str]) -> str | None:
    """The key in `x-goog-api-key` or in the address."""
    return headers.get("x-goog-api-key") or query.get("key") or None


def read(incoming: Incoming) -> ModelRequest:
    """Understand `models/MODEL:METHOD`. Raises: BadRequest, in Google's words."""
    body = incoming.body
    model, _, method = incoming.place.rpartition(":")
    if not 0 < len(model) <= 300 or method not in ("generateContent", "streamGenerateContent"):
        raise BadRequest(incoming.place[:300], status=404, failure="not_found")
    is_stream = method == "streamGenerateContent"
    if is_stream and incoming.query.get("alt") != "sse":
        raise BadRequest("The demo provider streams server-sent events only: ask for alt=sse.")
    field = reading.unknown(body, _FIELDS)
    if field is not None:
        raise BadRequest(f'Invalid JSON payload received. Unknown name "{field}": Cannot find field.')
    contents = reading.objects(
        body, "contents", "* GenerateContentRequest.contents: contents is not specified"
    )
    for i, content in enumerate(contents):
        if content.get("role") not in (None, "user", "model", "function"):
            raise BadRequest("Please use a valid role: user, model.")
        reading.objects(
            content,
            "parts",
            f"* GenerateContentRequest.contents[{i}].parts: contents.parts must not be empty.",
        )
    config = reading.part(body, _either(body, "generationConfig"), "Invalid value at 'generation_config'")
    field = reading.unknown(config, _CONFIG_FIELDS)
    if field is not None:
        raise BadRequest(
            f"Invalid JSON payload received. Unknown name \"{field}\" at 'generation_config': "
            "Cannot find field."
        )
    _check_thinking(model, config)
    choices = (
        reading.count(config, "candidateCount", "Invalid value at 'generation_config.candidate_count'") or 1
    )
    if choices > MAX_CHOICES:
        raise BadRequest("The value of candidate_count must be between 1 and 8.")
    maximum = reading.count(config, _either(config, "maxOutputTokens"), "max_output_tokens must be positive.")
    system = reading.part(body, _either(body, "systemInstruction"), "Invalid value at 'system_instruction'")
    of_contents = [reading.texts(content["parts"]) for content in contents]
    users = [i for i, content in enumerate(contents) if content.get("role") in (None, "user")]
    return ModelRequest(
        model=model,
        is_stream=is_stream,
        include_usage=True,
        choices=choices,
        max_tokens=maximum,
        prompt_tokens=reading.tokens([*reading.texts(system.get("parts")), *chain(*of_contents)]),
        last_user_text="\n".join(of_contents[users[-1]]) if users else "",
    )


def _either(body: Mapping[str, Any], name: str) -> str:
    """`name` as it stands in the body: protocol buffers take camelCase and snake_case."""
    snake = re.sub(r"([A-Z])", lambda letter: f"_{letter[1].lower()}", name)
    return snake if snake in body else name


def _check_thinking(model: str, config: Mapping[str, Any]) -> None:
    thinking = reading.part(config, _either(config, "thinkingConfig"), "Invalid value at 'thinking_config'")
    if not thinking:
        return
    if _WITHOUT_THINKING.match(model):
        raise BadRequest("Unable to submit request because thinking is not supported by this model.")
    if "thinkingLevel" in thinking and model.startswith("gemini-2"):
        raise BadRequest("Thinking level is not supported for this model.")


_WITHOUT_THINKING = re.compile(r"gemini-(1|2\.0)")
_BOTH = (
    "generationConfig",
    "safetySettings",
    "systemInstruction",
    "toolConfig",
    "cachedContent",
    "serviceTier",
)
_FIELDS = frozenset(
    {"contents", "tools", "labels", *_BOTH, *(re.sub(r"([A-Z])", r"_\1", name).lower() for name in _BOTH)}
)
_CONFIG = (
    *("stopSequences", "responseMimeType", "responseSchema", "responseJsonSchema", "responseModalities"),
    *("candidateCount", "maxOutputTokens", "temperature", "topP", "topK", "seed", "presencePenalty"),
    *("frequencyPenalty", "responseLogprobs", "logprobs", "enableEnhancedCivicAnswers", "speechConfig"),
    *("thinkingConfig", "imageConfig", "mediaResolution"),
)
_CONFIG_FIELDS = frozenset({*_CONFIG, *(re.sub(r"([A-Z])", r"_\1", name).lower() for name in _CONFIG)})
"""Of https://ai.google.dev/api/generate-content."""

_FINISH_REASONS = {
    FinishReason.STOP: "STOP",
    FinishReason.LENGTH: "MAX_TOKENS",
    FinishReason.TOOL_CALLS: "STOP",
    FinishReason.CONTENT_FILTER: "SAFETY",
}


class GenerateWire:
    """One GenerateContentResponse, or a stream of them; calls of functions come in one piece."""

    media_type = EVENT_STREAM

    def __init__(self, head: AnswerHead, request: ModelRequest, promised: Usage | None) -> None:
        self._head = head
        self._thinks = promised is not None and bool(promised.reasoning_tokens)

    def whole(self, choices: Sequence[Choice], usage: Usage | None) -> Mapping[str, Any]:
        """All candidates."""
        candidates = []
        for choice in choices:
            parts = [_THOUGHT] if self._thinks else []
            parts += [{"text": choice.text}] if choice.text else []
            parts += [_call(call) for call in choice.tool_calls]
            candidates.append(_candidate(choice.index, parts, _FINISH_REASONS[choice.finish_reason]))
        return self._response(candidates, usage)

    def opening(self, choices: Sequence[Choice]) -> bytes:
        """What the model thinks."""
        return event(self._response([_candidate(0, [_THOUGHT], None)], None)) if self._thinks else b""

    def token(self, choice_index: int, token: Token) -> bytes:
        """One chunk with a text; nothing yet of a call."""
        match token:
            case TextToken(text):
                return event(self._response([_candidate(choice_index, [{"text": text}], None)], None))
            case ToolCallToken() | ArgumentsToken():
                return b""

    def closing(self, choices: Sequence[Choice], usage: Usage | None) -> bytes:
        """The calls, the finish reasons and the usage; there is no [DONE]."""
        candidates = [
            _candidate(
                choice.index,
                [_call(call) for call in choice.tool_calls],
                _FINISH_REASONS[choice.finish_reason],
            )
            for choice in choices
        ]
        return event(self._response(candidates, usage))

    def told_in_stream(self, usage: Usage | None) -> Mapping[str, Any] | None:
        """That of the last chunk."""
        return None if usage is None else _usage(usage)

    def failure(self, error: Mapping[str, Any]) -> bytes:
        """The error in place of a chunk."""
        return event(error)

    def _response(self, candidates: list[dict[str, Any]], usage: Usage | None) -> dict[str, Any]:
        response = {
            "candidates": candidates,
            "modelVersion": self._head.model,
            "responseId": self._head.answer_id,
        }
        return response if usage is None else {**response, "usageMetadata": _usage(usage)}


_THOUGHT: dict[str, Any] = {"text": THOUGHT, "thought": True}


def _candidate(index: int, parts: list[dict[str, Any]], reason: str | None) -> dict[str, Any]:
    candidate: dict[str, Any] = {
        "index": index,
        "content": {"role": "model", "parts": parts or [{"text": ""}]},
    }
    return candidate if reason is None else {**candidate, "finishReason": reason}


def _call(call: MadeCall) -> dict[str, Any]:
    return {"functionCall": {"name": call.name, "args": call.as_object()}}


def _usage(usage: Usage) -> dict[str, Any]:
    """`candidatesTokenCount` is without the thoughts, `promptTokenCount` with what was cached."""
    thoughts = usage.reasoning_tokens or 0
    told: dict[str, Any] = {
        "promptTokenCount": usage.prompt_tokens,
        "candidatesTokenCount": max(usage.completion_tokens - thoughts, 0),
        "totalTokenCount": usage.total_tokens,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": usage.prompt_tokens}],
    }
    if usage.reasoning_tokens is not None:
        told["thoughtsTokenCount"] = thoughts
    if usage.cached_tokens is not None:
        told["cachedContentTokenCount"] = usage.cached_tokens
        told["cacheTokensDetails"] = [{"modality": "TEXT", "tokenCount": usage.cached_tokens}]
    return told
