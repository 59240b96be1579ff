"""The format of Ollama's POST /api/chat."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from scalix_callbacks.demo_provider.answer import ArgumentsToken, Choice, TextToken, Token, ToolCallToken
from scalix_callbacks.demo_provider.dialects import reading
from scalix_callbacks.demo_provider.dialects.dialect import Incoming
from scalix_callbacks.demo_provider.dialects.openai_shaped import THOUGHT
from scalix_callbacks.demo_provider.errors import BadRequest
from scalix_callbacks.demo_provider.model_request import ModelRequest
from scalix_callbacks.demo_provider.script import FinishReason
from scalix_callbacks.demo_provider.usage import Usage
from scalix_callbacks.demo_provider.wire import JSON_LINES, AnswerHead, line

_WITHOUT_THINKING = ("llama", "gemma", "mistral", "phi3")


def read(incoming: Incoming) -> ModelRequest:
    """Understand a call; without `stream` it is streamed. Raises: BadRequest, in Ollama's words."""
    body = incoming.body
    model = reading.string(body, "model", "model is required")
    messages = reading.objects(body, "messages", "json: cannot unmarshal messages into []api.Message")
    for message in messages:
        if message.get("role") not in ("system", "user", "assistant", "tool"):
            raise BadRequest('invalid role: must be one of "system", "user", "assistant", or "tool"')
        if not isinstance(message.get("content", ""), str):
            raise BadRequest(
                "json: cannot unmarshal array into Go struct field Message.content of type string"
            )
    options = reading.part(body, "options", "json: cannot unmarshal options of type map[string]interface {}")
    if body.get("think") and model.startswith(_WITHOUT_THINKING):
        raise BadRequest(f'"{model}" does not support thinking')
    length = options.get("num_predict")
    users = [message for message in messages if message["role"] == "user"]
    return ModelRequest(
        model=model,
        is_stream=reading.switch(body, "stream", "json: cannot unmarshal stream of type bool", default=True),
        include_usage=True,
        choices=1,
        # -1 and -2 mean no limit.
        max_tokens=length if isinstance(length, int) and length > 0 else None,
        prompt_tokens=reading.tokens(message.get("content", "") for message in messages),
        last_user_text=users[-1].get("content", "") if users else "",
    )


class ChatLinesWire:
    """One answer, or a line of JSON for each token and a last one with `done`."""

    media_type = JSON_LINES

    def __init__(self, head: AnswerHead, request: ModelRequest, promised: Usage | None) -> None:
        self._head = head
        self._at = datetime.fromtimestamp(head.created_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._thinks = promised is not None and bool(promised.reasoning_tokens)

    def whole(self, choices: Sequence[Choice], usage: Usage | None) -> Mapping[str, Any]:
        """The message and the figures."""
        message: dict[str, Any] = {"content": choices[0].text, **_calls(choices[0])}
        if self._thinks:
            message["thinking"] = THOUGHT
        return self._body(message) | _end(choices[0], usage)

    def opening(self, choices: Sequence[Choice]) -> bytes:
        """What the model thinks."""
        return line(self._body({"content": "", "thinking": THOUGHT}) | _NOT_DONE) if self._thinks else b""

    def token(self, choice_index: int, token: Token) -> bytes:
        """One line; calls come whole before the end."""
        match token:
            case TextToken(text):
                return line(self._body({"content": text}) | _NOT_DONE)
            case ToolCallToken() | ArgumentsToken():
                return b""

    def closing(self, choices: Sequence[Choice], usage: Usage | None) -> bytes:
        """The calls, and the figures."""
        calls = _calls(choices[0])
        told = line(self._body({"content": "", **calls}) | _NOT_DONE) if calls else b""
        return told + line(self._body({"content": ""}) | _end(choices[0], usage))

    def told_in_stream(self, usage: Usage | None) -> Mapping[str, Any] | None:
        """That of the last line."""
        return None if usage is None else _usage(usage)

    def failure(self, error: Mapping[str, Any]) -> bytes:
        """The error in place of a line."""
        return line(error)

    def _body(self, message: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "model": self._head.model,
            "created_at": self._at,
            "message": {"role": "assistant", **message},
        }


_NOT_DONE = {"done": False}


def _calls(choice: Choice) -> dict[str, Any]:
    calls = [{"function": {"name": call.name, "arguments": call.as_object()}} for call in choice.tool_calls]
    return {"tool_calls": calls} if calls else {}


def _end(choice: Choice, usage: Usage | None) -> dict[str, Any]:
    reason = "length" if choice.finish_reason is FinishReason.LENGTH else "stop"
    durations = {"total_duration": 1_000_000, "load_duration": 1_000}
    return {"done": True, "done_reason": reason, **durations, **({} if usage is None else _usage(usage))}


def _usage(usage: Usage) -> dict[str, Any]:
    """It tells neither cached nor reasoning tokens."""
    return {"prompt_eval_count": usage.prompt_tokens, "eval_count": usage.completion_tokens}
