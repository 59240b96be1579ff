"""Answers in the form of POST /v1/completions."""

from collections.abc import Mapping, Sequence
from typing import Any

from scalix_callbacks.demo_provider.answer import Choice, TextToken, Token
from scalix_callbacks.demo_provider.usage import Usage
from scalix_callbacks.demo_provider.wire import DONE, EVENT_STREAM, AnswerHead, event


class CompletionsWire:
    """One text completion; it has no form for tool calls. `include_usage` as for chat."""

    media_type = EVENT_STREAM

    def __init__(self, head: AnswerHead, *, include_usage: bool) -> None:
        self._id = f"cmpl-{head.answer_id}"
        self._head = head
        self._include_usage = include_usage

    def whole(self, choices: Sequence[Choice], usage: Usage | None) -> Mapping[str, Any]:
        """A `text_completion`."""
        body = self._body([_choice(choice.index, choice.text, choice.finish_reason) for choice in choices])
        if usage is not None:
            body["usage"] = usage.as_chat()
        return body

    def opening(self, choices: Sequence[Choice]) -> bytes:
        """Nothing: a text has no role."""
        return b""

    def token(self, choice_index: int, token: Token) -> bytes:
        """One chunk."""
        text = token.text if isinstance(token, TextToken) else ""
        return event(self._body([_choice(choice_index, text, None)]))

    def closing(self, choices: Sequence[Choice], usage: Usage | None) -> bytes:
        """The finish reasons, the usage if asked for, and [DONE]."""
        frames = [event(self._body([_choice(c.index, "", c.finish_reason)])) for c in choices]
        told = self.told_in_stream(usage)
        if told is not None:
            frames.append(event(self._body([]) | {"usage": told}))
        return b"".join([*frames, DONE])

    def told_in_stream(self, usage: Usage | None) -> Mapping[str, Any] | None:
        """The usage of the last chunk, if the client asked for it."""
        return usage.as_chat() if self._include_usage and usage is not None else None

    def failure(self, error: Mapping[str, Any]) -> bytes:
        """The error in place of a chunk."""
        return event(error)

    def _body(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self._id,
            "object": "text_completion",
            "created": self._head.created_at,
            "model": self._head.model,
            "choices": choices,
        }


def _choice(index: int, text: str, finish_reason: str | None) -> dict[str, Any]:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": finish_reason}
