"""A server-sent stream as a strict client reads it."""

import json
from dataclasses import dataclass
from typing import Any

import httpx

from scalix_callbacks.cli.smoke_client import Unexpected, told

DONE = "[DONE]"


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream that was read to its end.

    Attributes:
        is_done: its last frame is `[DONE]`.
    """

    answer: httpx.Response
    chunks: list[dict[str, Any]]
    is_done: bool
    last_line: str

    @property
    def text(self) -> str:
        deltas = (choice.get("delta", {}) for chunk in self.chunks for choice in chunk.get("choices") or [])
        return "".join(delta.get("content") or "" for delta in deltas)


def read_stream(answer: httpx.Response) -> Stream:
    """The frames of `answer`.

    Raises:
        Unexpected: it is no stream, or holds what makes strict clients fail: named events, or data that is
            no JSON object.
    """
    content_type = answer.headers.get("content-type", "")
    if answer.status_code != 200 or not content_type.startswith("text/event-stream"):
        raise Unexpected("a stream (200, text/event-stream)", f"{content_type}: {told(answer)}")
    # Not splitlines: a model's text may hold other characters that Python takes for the end of a line.
    lines = [line for line in answer.text.replace("\r\n", "\n").split("\n") if line and line[0] != ":"]
    others = [line for line in lines if not line.startswith("data:")]
    if others:
        raise Unexpected("data lines and comments only", others[0])
    data = [line.removeprefix("data:").strip() for line in lines]
    is_done = bool(data) and data[-1] == DONE
    chunks = [_chunk(text) for text in (data[:-1] if is_done else data)]
    if not chunks:
        raise Unexpected("chunks", "none")
    return Stream(answer, chunks, is_done, data[-1])


def _chunk(text: str) -> dict[str, Any]:
    try:
        chunk = json.loads(text)
    except ValueError:
        chunk = None
    if not isinstance(chunk, dict):
        raise Unexpected("a JSON object in every data line", text)
    if "error" in chunk:
        raise Unexpected("no error in the stream", chunk["error"])
    return chunk
