"""Answers in the form of POST /v1/chat/completions."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from scalix_callbacks.demo_provider.answer import ArgumentsToken, Choice, TextToken, Token, ToolCallToken
from scalix_callbacks.demo_provider.usage import Usage
from scalix_callbacks.demo_provider.wire import DONE, EVENT_STREAM, AnswerHead, event


class ChatWire:
    """One chat completion. `include_usage`: the client asked for a last chunk with the usage.

    `thought_field` is where a provider that shows its reasoning puts `thought`; "" shows none.
    """

    media_type = EVENT_STREAM

    def __init__(
        self,
        head: AnswerHead,
        *,
        include_usage: bool,
        usage_form: Callable[[Usage], dict[str, Any]] = Usage.as_chat,
        thought: str = "",
        thought_field: str = "reasoning_content",
    ) -> None:
        self._id = f"chatcmpl-{head.answer_id}"
        self._head = head
        self._include_usage = include_usage
        self._usage_form = usage_form
        self._thought = {thought_field: thought} if thought else {}

    def whole(self, choices: Sequence[Choice], usage: Usage | None) -> Mapping[str, Any]:
        """A `chat.completion`."""
        body = self._body("chat.completion", [_whole_choice(choice, self._thought) for choice in choices])
        if usage is not None:
            body["usage"] = self._usage_form(usage)
        return body

    def opening(self, choices: Sequence[Choice]) -> bytes:
        """The role of each choice."""
        first = {"role": "assistant", "content": "", **self._thought}
        return b"".join(self._chunk(choice.index, first) for choice in choices)

    def token(self, choice_index: int, token: Token) -> bytes:
        """One chunk."""
        return self._chunk(choice_index, _delta(token))

    def closing(self, choices: Sequence[Choice], usage: Usage | None) -> bytes:
        """The finish reasons, the usage if asked for, and [DONE]."""
        frames = [self._chunk(choice.index, {}, choice.finish_reason) for choice in choices]
        told = self.told_in_stream(usage)
        if told is not None:
            frames.append(event(self._body("chat.completion.chunk", []) | {"usage": told}))
        return b"".join([*frames, DONE])

    def told_in_stream(self, usage: Usage | None) -> Mapping[str, Any] | None:
        """The usage of the last chunk, if the client asked for it."""
        return self._usage_form(usage) if self._include_usage and usage is not None else None

    def failure(self, error: Mapping[str, Any]) -> bytes:
        """The error in place of a chunk."""
        return event(error)

    def _chunk(self, index: int, delta: Mapping[str, Any], finish_reason: str | None = None) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return event(self._body("chat.completion.chunk", [choice]))

    def _body(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self._id,
            "object": kind,
            "created": self._head.created_at,
            "model": self._head.model,
            "choices": choices,
        }


def _whole_choice(choice: Choice, thought: Mapping[str, str]) -> dict[str, Any]:
    calls = [
        {"id": call.call_id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in choice.tool_calls
    ]
    text = choice.text
    message: dict[str, Any] = {"role": "assistant", "content": text if text or not calls else None}
    message |= thought
    if calls:
        message["tool_calls"] = calls
    return {
        "index": choice.index,
        "message": message,
        "logprobs": None,
        "finish_reason": choice.finish_reason,
    }


def _delta(token: Token) -> dict[str, Any]:
    match token:
        case TextToken(text):
            return {"content": text}
        case ToolCallToken(call, call_id, name):
            function = {"name": name, "arguments": ""}
            start = {"index": call, "id": call_id, "type": "function", "function": function}
            return {"tool_calls": [start]}
        case ArgumentsToken(call, text):
            return {"tool_calls": [{"index": call, "function": {"arguments": text}}]}
