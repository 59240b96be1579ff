"""What every endpoint's form of an answer can do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from scalix_callbacks.demo_provider.answer import Choice, Token
from scalix_callbacks.demo_provider.usage import Usage


@dataclass(frozen=True, slots=True)
class AnswerHead:
    """What all parts of one answer repeat. `answer_id` has no prefix; `created_at` is in Unix seconds."""

    answer_id: str
    model: str
    created_at: int


class Wire(Protocol):
    """One answer in the form of one endpoint, streamed or whole.

    `media_type` is that of the stream: server-sent events, or lines of JSON.
    """

    @property
    def media_type(self) -> str: ...

    def whole(self, choices: Sequence[Choice], usage: Usage | None) -> Mapping[str, Any]:
        """The body of an answer that is not streamed."""

    def opening(self, choices: Sequence[Choice]) -> bytes:
        """The events before the first token."""

    def token(self, choice_index: int, token: Token) -> bytes:
        """The events for one token."""

    def closing(self, choices: Sequence[Choice], usage: Usage | None) -> bytes:
        """The events after the last token. `usage` None is not reported."""

    def told_in_stream(self, usage: Usage | None) -> Mapping[str, Any] | None:
        """The usage that `closing` tells, in its words; None if it tells none."""

    def failure(self, error: Mapping[str, Any]) -> bytes:
        """The event that ends a stream with an error, whose body would be `error`."""


def event(data: Mapping[str, Any], name: str | None = None) -> bytes:
    """One server-sent event."""
    head = b"" if name is None else b"event: " + name.encode() + b"\n"
    return head + b"data: " + orjson.dumps(data) + b"\n\n"


def line(data: Mapping[str, Any]) -> bytes:
    """One line of JSON."""
    return orjson.dumps(data) + b"\n"


DONE = b"data: [DONE]\n\n"
EVENT_STREAM = "text/event-stream; charset=utf-8"
JSON_LINES = "application/x-ndjson"
