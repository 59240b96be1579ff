"""What a stream has brought so far: its text, for an estimate, and the usage its provider reports."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import orjson
from pydantic import BaseModel

from scalix_callbacks.core.estimate import text_tokens
from scalix_callbacks.core.usage import UNKNOWN, Usage, parse_usage
from scalix_callbacks.proxy.halves import Halves, is_broken

MAX_PIECES = 2_000_000
"""Of text kept for an estimate; LiteLLM itself keeps every chunk of a stream until it ends."""

MAX_EVENT_BYTES = 1_000_000
"""Of raw SSE; a longer event goes on unread."""


class StreamReading:
    """Reads chunks as they pass. Knows those of chat and completions (LiteLLM's objects), of the Responses
    API (objects with a `type`) and of Anthropic's messages (raw SSE, cut where the network cuts it).

    Attributes:
        has_failed: an event of raw SSE says so; it holds the provider's own words.
        first: the first chunk that said anything; what came before may be of a model that then failed.
    """

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._usage: Usage | None = None
        self._unframed = b""
        self._halves = Halves()
        self.has_failed = False
        self.first: Any = None

    def take(self, chunk: Any) -> Any:
        """The chunk as it goes on; None when nothing of it does yet: it held the usage alone, which our own
        last chunk tells, or no whole event of raw SSE, which go on as a whole."""
        if self.is_empty:
            self.first = chunk
        if isinstance(chunk, bytes | str):
            return self._read_sse(chunk)
        if isinstance(chunk, BaseModel) and getattr(chunk, "choices", None) is not None:
            return self._read_choices(chunk)
        self._read_event(chunk.model_dump() if isinstance(chunk, BaseModel) else chunk)
        return chunk

    def rest(self) -> bytes:
        """What of raw SSE was held back and no event ended."""
        rest, self._unframed = self._unframed, b""
        return rest[: self._read_lines(rest)]

    def usage(self, prompt_estimate: int, source: Any = None, *, is_cut: bool = False) -> Usage:
        """What was used by now; where the provider has not said, estimated by what was received.

        Args:
            source: LiteLLM's stream, which ends with usage that it counted itself where none was told.
            is_cut: the stream did not come to its end. What a provider has told of its answer by then may be
                a mere beginning: Anthropic's first event tells one token, others zero.
        """
        known = self._usage or UNKNOWN
        if is_cut:
            received = max(known.completion_tokens or 0, self._received())
            return replace(known, completion_tokens=None).completed(
                prompt_tokens=prompt_estimate, completion_tokens=received
            )
        if known.prompt_tokens is not None and known.completion_tokens is not None:
            return replace(known, is_estimated=True) if _is_counted_by_litellm(source) else known
        return known.completed(prompt_tokens=prompt_estimate, completion_tokens=self._received())

    def _received(self) -> int:
        return text_tokens("".join(self._pieces)) if self._pieces else 0

    def is_answer(self, source: Any) -> bool:
        """Whether its provider said anything: a word, or that it used nothing.

        LiteLLM ends a stream in which it understood nothing as one that was complete.
        """
        return bool(self._pieces) or (self._usage is not None and not _is_counted_by_litellm(source))

    @property
    def is_empty(self) -> bool:
        return not self._pieces and self._usage is None

    def _read_choices(self, chunk: BaseModel) -> Any:
        held = _held(chunk)
        reported = _usage_of(held.get("usage"))
        has_content = False
        for told in held["choices"]:
            choice = _held(told)
            texts = _said(choice)
            if self._halves.is_waiting or is_broken(texts):
                self._halves.mend(told)
                texts = _said(_held(told))
            self._keep(texts)
            has_content = has_content or any(texts) or bool(choice.get("finish_reason"))
        if reported is not None:
            self._usage = reported
            if not has_content:
                return None
        if held.get("usage") is not None:
            chunk.usage = None  # type: ignore[attr-defined]  # it has one
        return chunk

    def _read_event(self, event: object) -> None:
        if not isinstance(event, Mapping):
            return
        delta = event.get("delta")
        if isinstance(delta, str):
            self._keep([delta])
        elif isinstance(delta, Mapping):
            self._keep(delta.get(name) for name in ("text", "thinking", "partial_json"))
        for holder in (event, event.get("response"), event.get("message")):
            if isinstance(holder, Mapping) and (reported := _usage_of(holder.get("usage"))) is not None:
                if event.get("type") == "message_start":
                    # Anthropic tells the prompt here, and the completion in its last event: not yet.
                    reported = replace(reported, completion_tokens=None)
                self._usage = reported if self._usage is None else _joined(self._usage, reported)

    def _read_sse(self, chunk: bytes | str) -> bytes | None:
        """The whole events of it; what follows them waits for its end."""
        raw = self._unframed + (chunk if isinstance(chunk, bytes) else chunk.encode("utf-8", "surrogatepass"))
        end = max((at + len(mark) for mark in _EVENT_ENDS if (at := raw.rfind(mark)) >= 0), default=0)
        if len(raw) - end > MAX_EVENT_BYTES:
            self._unframed = b""
            return raw
        whole, self._unframed = raw[:end], raw[end:]
        return whole[: self._read_lines(whole)] or None

    def _read_lines(self, raw: bytes) -> int:
        """Up to where it may go on: before an event that tells a failure, else all of it."""
        at = begin = 0  # of the line, of its event
        for line in raw.splitlines(keepends=True):
            at += len(line)
            if not line.strip():
                begin = at
            if not line.startswith(b"data:"):
                continue
            try:
                event = orjson.loads(line[5:])
            except orjson.JSONDecodeError:
                continue
            if _is_error(event):
                self.has_failed = True
                return begin
            self._read_event(event)
        return len(raw)

    def _keep(self, texts: Iterable[Any]) -> None:
        if len(self._pieces) < MAX_PIECES:
            self._pieces += [text for text in texts if isinstance(text, str) and text]


def is_finish(chunk: Any) -> bool:
    """Whether this chunk of a chat or a completion says why the answer ended."""
    return any(getattr(choice, "finish_reason", None) for choice in getattr(chunk, "choices", None) or ())


def says_something(chunk: Any) -> bool:
    """Whether this chunk of a chat or a completion holds a part of the answer, or why there is none."""
    for choice in map(_held, getattr(chunk, "choices", None) or ()):
        delta = choice.get("delta")
        if any(_said(choice)):
            return True
        if delta is not None and any(map(_held(delta).get, _WITHOUT_TEXT)):
            return True
        if choice.get("finish_reason") not in (None, "stop"):
            return True
    return False


def is_last_event(chunk: Any) -> bool:
    """Whether this is the last event of a stream of the Responses API; it tells the usage, and clients throw
    at any other chunk behind it."""
    return isinstance(chunk, BaseModel) and getattr(chunk, "type", None) in _LAST_EVENTS


_EVENT_ENDS = (b"\n\n", b"\r\n\r\n")
_WITHOUT_TEXT = ("audio", "images", "function_call")
# A tuple: the hash of LiteLLM's enumeration is not that of its text.
_LAST_EVENTS = ("response.completed", "response.incomplete")


def _is_counted_by_litellm(source: Any) -> bool:
    """Whether none of the chunks that a provider sent told the usage; False where they are not kept."""
    chunks = getattr(source, "chunks", None)
    if not isinstance(chunks, list) or not chunks:
        return False
    return all(getattr(chunk, "usage", None) is None for chunk in chunks)


def _is_error(event: object) -> bool:
    return isinstance(event, Mapping) and event.get("type") == "error"


def _held(model: Any) -> Mapping[str, Any]:
    """What a model holds. To ask pydantic for what it may not hold costs an exception each time."""
    if not isinstance(model, BaseModel):
        return model if isinstance(model, Mapping) else vars(model)
    return {**model.__dict__, **(model.__pydantic_extra__ or {})}


def _said(choice: Mapping[str, Any]) -> list[str | None]:
    delta = choice.get("delta")
    if delta is not None:
        return list(_texts(delta))
    return [choice.get("text"), choice.get("reasoning_content")]  # of a completion


def _texts(delta: Any) -> Iterator[str | None]:
    held = _held(delta)
    yield held.get("content")
    yield held.get("reasoning_content")
    yield held.get("refusal")
    for call in held.get("tool_calls") or ():
        function = getattr(call, "function", None)
        yield getattr(function, "name", None)
        yield getattr(function, "arguments", None)


def _usage_of(raw: Any) -> Usage | None:
    return parse_usage(raw.model_dump() if isinstance(raw, BaseModel) else raw)


def _joined(first: Usage, later: Usage) -> Usage:
    return Usage(
        later.prompt_tokens or first.prompt_tokens,
        first.completion_tokens if later.completion_tokens is None else later.completion_tokens,
        first.cached_tokens if later.cached_tokens is None else later.cached_tokens,
        first.reasoning_tokens if later.reasoning_tokens is None else later.reasoning_tokens,
        cache_written_tokens=first.cache_written_tokens
        if later.cache_written_tokens is None
        else later.cache_written_tokens,
    )
