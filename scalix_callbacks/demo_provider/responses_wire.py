"""Answers in the form of POST /v1/responses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scalix_callbacks.demo_provider.answer import (
    ArgumentsToken,
    Choice,
    TextToken,
    Token,
    ToolCallToken,
    in_sending_order,
)
from scalix_callbacks.demo_provider.script import FinishReason
from scalix_callbacks.demo_provider.usage import Usage
from scalix_callbacks.demo_provider.wire import EVENT_STREAM, AnswerHead, event

_INCOMPLETE = {FinishReason.LENGTH: "max_output_tokens", FinishReason.CONTENT_FILTER: "content_filter"}


@dataclass(slots=True)
class _Item:
    """An output item while it is being written: a message, or a function call when `name` is set."""

    item_id: str
    call_id: str | None = None
    name: str | None = None
    parts: list[str] = field(default_factory=list)

    @property
    def written(self) -> str:
        return "".join(self.parts)

    def as_json(self, status: str) -> dict[str, Any]:
        if self.name is not None:
            return {
                "id": self.item_id,
                "type": "function_call",
                "status": status,
                "call_id": self.call_id,
                "name": self.name,
                "arguments": self.written,
            }
        content = [self.part()] if self.parts or status != "in_progress" else []
        message = {"id": self.item_id, "type": "message", "status": status, "role": "assistant"}
        return {**message, "content": content}

    def part(self) -> dict[str, Any]:
        return {"type": "output_text", "text": self.written, "annotations": [], "logprobs": []}


class ResponsesWire:
    """One response. Its stream has named, numbered events, ends without [DONE] and always may tell usage."""

    media_type = EVENT_STREAM

    def __init__(self, head: AnswerHead) -> None:
        self._head = head
        self._items: list[_Item] = []
        self._number = 0

    def whole(self, choices: Sequence[Choice], usage: Usage | None) -> Mapping[str, Any]:
        """A `response`: what the stream's last event would carry."""
        for _, token in in_sending_order(tuple(choices[:1])):
            self.token(0, token)
        status, details = _status(choices)
        return self._response(status, details, usage)

    def opening(self, choices: Sequence[Choice]) -> bytes:
        """`response.created` and `response.in_progress`."""
        snapshot = {"response": self._response("in_progress", None, None)}
        return self._event("response.created", snapshot) + self._event("response.in_progress", snapshot)

    def token(self, choice_index: int, token: Token) -> bytes:
        """One delta; the first of an item opens it and closes the one before. Text precedes tool calls."""
        match token:
            case TextToken(text):
                opened = b"" if self._items else self._open_message()
                return opened + self._text_delta(text)
            case ToolCallToken(_, call_id, name):
                return self._close_item("completed") + self._open_function_call(call_id, name)
            case ArgumentsToken(_, text):
                return self._arguments_delta(text)

    def closing(self, choices: Sequence[Choice], usage: Usage | None) -> bytes:
        """The ends of the open item and of the response: `response.completed` or `response.incomplete`."""
        status, details = _status(choices)
        closed = self._close_item(status)
        response = self._response(status, details, usage)
        return closed + self._event(f"response.{status}", {"response": response})

    def told_in_stream(self, usage: Usage | None) -> Mapping[str, Any] | None:
        """The usage of the last event."""
        return None if usage is None else usage.as_responses()

    def failure(self, error: Mapping[str, Any]) -> bytes:
        """`error`, with the fields where OpenAI documents them and nested where its server sends them."""
        inner = error.get("error")
        fields = inner if isinstance(inner, Mapping) else {"message": "The demo provider failed."}
        flat = {key: fields.get(key) for key in ("code", "message", "param")}
        return self._event("error", {**flat, "error": dict(fields)})

    def _open_message(self) -> bytes:
        item = self._add(_Item(f"msg_{self._head.answer_id}_{len(self._items)}"))
        added = self._event("response.output_item.added", self._place | {"item": item.as_json("in_progress")})
        return added + self._event("response.content_part.added", self._text_place | {"part": item.part()})

    def _open_function_call(self, call_id: str, name: str) -> bytes:
        item = self._add(_Item(f"fc_{self._head.answer_id}_{len(self._items)}", call_id, name))
        return self._event("response.output_item.added", self._place | {"item": item.as_json("in_progress")})

    def _add(self, item: _Item) -> _Item:
        self._items.append(item)
        return item

    def _text_delta(self, text: str) -> bytes:
        self._items[-1].parts.append(text)
        return self._event("response.output_text.delta", self._text_place | {"delta": text, "logprobs": []})

    def _arguments_delta(self, text: str) -> bytes:
        item = self._items[-1]
        item.parts.append(text)
        delta = self._place | {"item_id": item.item_id, "delta": text}
        return self._event("response.function_call_arguments.delta", delta)

    def _close_item(self, status: str) -> bytes:
        if not self._items:
            return b""
        item = self._items[-1]
        if item.name is None:
            text = self._text_place | {"text": item.written, "logprobs": []}
            ended = self._event("response.output_text.done", text)
            ended += self._event("response.content_part.done", self._text_place | {"part": item.part()})
        else:
            call = {"item_id": item.item_id, "name": item.name, "arguments": item.written}
            ended = self._event("response.function_call_arguments.done", self._place | call)
        return ended + self._event("response.output_item.done", self._place | {"item": item.as_json(status)})

    @property
    def _place(self) -> dict[str, Any]:
        return {"output_index": len(self._items) - 1}

    @property
    def _text_place(self) -> dict[str, Any]:
        return self._place | {"item_id": self._items[-1].item_id, "content_index": 0}

    def _event(self, name: str, fields: Mapping[str, Any]) -> bytes:
        numbered = {"type": name, "sequence_number": self._number, **fields}
        self._number += 1
        return event(numbered, name)

    def _response(
        self, status: str, details: Mapping[str, str] | None, usage: Usage | None
    ) -> dict[str, Any]:
        last = len(self._items) - 1
        output = [
            item.as_json(status if place == last else "completed") for place, item in enumerate(self._items)
        ]
        return {
            "id": f"resp_{self._head.answer_id}",
            "object": "response",
            "created_at": self._head.created_at,
            "status": status,
            "model": self._head.model,
            "output": output,
            "usage": None if usage is None else usage.as_responses(),
            "error": None,
            "incomplete_details": details,
            "instructions": None,
            "metadata": {},
            "parallel_tool_calls": True,
            "previous_response_id": None,
            "temperature": 1.0,
            "text": {"format": {"type": "text"}},
            "tool_choice": "auto",
            "tools": [],
            "top_p": 1.0,
            "truncation": "disabled",
        }


def _status(choices: Sequence[Choice]) -> tuple[str, Mapping[str, str] | None]:
    reason = _INCOMPLETE.get(choices[0].finish_reason)
    return ("completed", None) if reason is None else ("incomplete", {"reason": reason})
