"""The format of Anthropic's Messages API."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from scalix_callbacks.demo_provider.answer import ArgumentsToken, Choice, TextToken, Token, ToolCallToken
from scalix_callbacks.demo_provider.dialects import reading
from scalix_callbacks.demo_provider.dialects.dialect import Incoming, bearer
from scalix_callbacks.demo_provider.dialects.openai_shaped import THOUGHT
from scalix_callbacks.demo_provider.errors import BadRequest
from scalix_callbacks.demo_provider.model_request import ModelRequest
from scalix_callbacks.demo_provider.script import FinishReason
from scalix_callbacks.demo_provider.usage import Usage
from scalix_callbacks.demo_provider.wire import EVENT_STREAM, AnswerHead, event


def key(headers: Mapping[str, str], query: Mapping[str, str]) -> str | None:
    """The key in `x-api-key`, or an OAuth token."""
    return headers.get("x-api-key") or bearer(headers, query)


def read(incoming: Incoming) -> ModelRequest:
    """Understand a call of POST /v1/messages. Raises: BadRequest, in Anthropic's words."""
    body = incoming.body
    if "anthropic-version" not in incoming.headers:
        raise BadRequest("anthropic-version: header is required")
    model = reading.string(body, "model", "model: Field required")
    field = reading.unknown(body, _FIELDS)
    if field is not None:
        raise BadRequest(f"{field}: Extra inputs are not permitted")
    max_tokens = reading.count(body, "max_tokens", "max_tokens: Input should be greater than or equal to 1")
    if max_tokens is None:
        raise BadRequest("max_tokens: Field required")
    messages = reading.objects(body, "messages", "messages: at least one message is required")
    if messages[0].get("role") != "user":
        raise BadRequest('messages: first message must use the "user" role')
    for i, message in enumerate(messages):
        if message.get("role") not in ("user", "assistant"):
            raise BadRequest(f"messages.{i}.role: Input should be 'user' or 'assistant'")
        if not message.get("content"):
            raise BadRequest(f"messages.{i}: all messages must have non-empty content")
    _check_thinking(model, body, max_tokens)
    system = reading.texts(body.get("system"))
    all_texts = [text for message in messages for text in reading.texts(message["content"])]
    last = [message for message in messages if message["role"] == "user"][-1]
    return ModelRequest(
        model=model,
        is_stream=reading.switch(body, "stream", "stream: Input should be a valid boolean"),
        include_usage=True,
        choices=1,
        max_tokens=max_tokens,
        prompt_tokens=reading.tokens([*system, *all_texts]),
        last_user_text="\n".join(reading.texts(last["content"])),
    )


def _check_thinking(model: str, body: Mapping[str, Any], max_tokens: int) -> None:
    thinking = reading.part(body, "thinking", "thinking: Input should be an object")
    kind = thinking.get("type")
    if kind in (None, "disabled"):
        return
    if _WITHOUT_THINKING.match(model):
        raise BadRequest("thinking: Extended thinking is not supported by this model")
    if kind not in ("enabled", "adaptive"):
        raise BadRequest("thinking: Input tag does not match any of the expected tags")
    budget = thinking.get("budget_tokens")
    if kind == "enabled":
        if not isinstance(budget, int) or budget < 1_024:
            raise BadRequest("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
        if budget >= max_tokens:
            raise BadRequest("`max_tokens` must be greater than `thinking.budget_tokens`.")
    if body.get("temperature") not in (None, 1):
        raise BadRequest("`temperature` may only be set to 1 when thinking is enabled.")


_WITHOUT_THINKING = re.compile(r"claude-(3-(?!7)|2|instant)")
_FIELDS = frozenset(
    {
        *("model", "messages", "cache_control", "container", "context_management", "inference_geo"),
        *("max_tokens", "mcp_servers", "metadata", "output_config", "output_format", "service_tier", "speed"),
        *(
            "stop_sequences",
            "stream",
            "system",
            "temperature",
            "thinking",
            "tool_choice",
            "tools",
            "top_k",
            "top_p",
        ),
    }
)
"""Of https://docs.anthropic.com/en/api/messages, with those in beta."""

_STOP_REASONS = {
    FinishReason.STOP: "end_turn",
    FinishReason.LENGTH: "max_tokens",
    FinishReason.TOOL_CALLS: "tool_use",
    FinishReason.CONTENT_FILTER: "refusal",
}


class MessagesWire:
    """One message. `promised` is the usage at its start: of the prompt alone."""

    media_type = EVENT_STREAM

    def __init__(self, head: AnswerHead, request: ModelRequest, promised: Usage | None) -> None:
        self._head = head
        self._promised = promised
        self._thinks = promised is not None and bool(promised.reasoning_tokens)
        self._open: str | None = None
        self._index = -1

    def whole(self, choices: Sequence[Choice], usage: Usage | None) -> Mapping[str, Any]:
        """A `message`."""
        choice = choices[0]
        content: list[dict[str, Any]] = [_THINKING] if self._thinks else []
        if choice.text:
            content.append({"type": "text", "text": choice.text})
        for call in choice.tool_calls:
            content.append(
                {
                    "type": "tool_use",
                    "id": call.call_id,
                    "name": call.name,
                    "input": call.as_object(),
                }
            )
        reason = _STOP_REASONS[choice.finish_reason]
        return self._message(content, reason, None if usage is None else _usage(usage))

    def opening(self, choices: Sequence[Choice]) -> bytes:
        """`message_start`, and what the model thinks."""
        told = None if self._promised is None else _usage(self._promised)
        start = self._event("message_start", {"message": self._message([], None, told)})
        if not self._thinks:
            return start
        thinking = self._begin("thinking", {"type": "thinking", "thinking": "", "signature": ""})
        thinking += self._delta({"type": "thinking_delta", "thinking": THOUGHT})
        return start + thinking + self._delta({"type": "signature_delta", "signature": _SIGNATURE})

    def token(self, choice_index: int, token: Token) -> bytes:
        """One delta; the first of a block opens it and closes the one before."""
        match token:
            case TextToken(text):
                opened = b"" if self._open == "text" else self._begin("text", {"type": "text", "text": ""})
                return opened + self._delta({"type": "text_delta", "text": text})
            case ToolCallToken(call, call_id, name):
                block = {"type": "tool_use", "id": call_id, "name": name, "input": {}}
                return self._begin(f"tool {call}", block)
            case ArgumentsToken(_, text):
                return self._delta({"type": "input_json_delta", "partial_json": text})

    def closing(self, choices: Sequence[Choice], usage: Usage | None) -> bytes:
        """`message_delta` with the stop reason and the usage, and `message_stop`."""
        delta = {"stop_reason": _STOP_REASONS[choices[0].finish_reason], "stop_sequence": None}
        told = {} if usage is None else {"usage": _usage(usage)}
        ended = self._end() + self._event("message_delta", {"delta": delta, **told})
        return ended + self._event("message_stop", {})

    def told_in_stream(self, usage: Usage | None) -> Mapping[str, Any] | None:
        """That of `message_delta`."""
        return None if usage is None else _usage(usage)

    def failure(self, error: Mapping[str, Any]) -> bytes:
        """`error`."""
        return event(error, "error")

    def _begin(self, what: str, block: Mapping[str, Any]) -> bytes:
        ended = self._end()
        self._open = what
        self._index += 1
        return ended + self._event("content_block_start", {"index": self._index, "content_block": block})

    def _delta(self, delta: Mapping[str, Any]) -> bytes:
        return self._event("content_block_delta", {"index": self._index, "delta": delta})

    def _end(self) -> bytes:
        if self._open is None:
            return b""
        self._open = None
        return self._event("content_block_stop", {"index": self._index})

    def _event(self, name: str, fields: Mapping[str, Any]) -> bytes:
        return event({"type": name, **fields}, name)

    def _message(
        self, content: list[dict[str, Any]], stop_reason: str | None, usage: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        message = {
            "id": f"msg_{self._head.answer_id}",
            "type": "message",
            "role": "assistant",
            "model": self._head.model,
            "content": content,
            "stop_reason": stop_reason,
            "stop_sequence": None,
        }
        # The real one never leaves it out; a script may.
        return message if usage is None else {**message, "usage": usage}


_SIGNATURE = "demo-signature"
_THINKING = {"type": "thinking", "thinking": THOUGHT, "signature": _SIGNATURE}


def _usage(usage: Usage) -> dict[str, Any]:
    """`input_tokens` are those not read from the cache."""
    cached = usage.cached_tokens or 0
    told: dict[str, Any] = {
        "input_tokens": max(usage.prompt_tokens - cached, 0),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached,
        "output_tokens": usage.completion_tokens,
    }
    if usage.reasoning_tokens is not None:
        told["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return told
