"""1.106.2: the same of streams of `/v1/messages`, raw SSE in which all that a provider says goes on.

Here LiteLLM itself tries again and hands on what fails before the first word, where it is told of it; but
then it tries each model of a chain as often as the first, up to twelve calls of providers in all. And what it
translates from a chat tells most failures as a 500, refused credentials too.
"""

import re
from collections.abc import AsyncGenerator, Iterator, Mapping
from typing import Any

import orjson
from litellm.exceptions import ContentPolicyViolationError
from litellm.llms.anthropic.common_utils import anthropic_error_frame_exception
from litellm.llms.anthropic.pass_through.adapters import streaming_iterator as translated
from litellm.llms.anthropic.pass_through.messages.streaming_iterator import parse_anthropic_error_event
from litellm.router import Router

from scalix_callbacks.core.usage import parse_usage
from scalix_callbacks.proxy.repairs.begun import Begun, no_answer, tells_usage

MAX_UNREAD_BYTES = 1_000_000

_original = Router._aanthropic_messages_streaming_iterator
_original_recover = Router._aanthropic_messages_recover_stream_error
_original_status = translated._error_status_and_message


def install() -> None:
    """Such a stream is given out with its first word, too; what fails behind it is told."""
    Router._aanthropic_messages_streaming_iterator = _aanthropic_messages_streaming_iterator
    Router._aanthropic_messages_recover_stream_error = _aanthropic_messages_recover_stream_error
    translated._error_status_and_message = _error_status_and_message


async def _aanthropic_messages_streaming_iterator(
    self: Router, response: Any, *args: Any, **kwargs: Any
) -> Any:
    return await _original(self, await begun(response), *args, **kwargs)


async def _aanthropic_messages_recover_stream_error(
    self: Router, stream_error: Exception, has_spoken: bool, held: tuple[bytes, ...], *args: Any
) -> AsyncGenerator[bytes, None]:
    cause = getattr(stream_error, "original_exception", None) or stream_error
    if isinstance(cause, ContentPolicyViolationError):  # a refusal, which has a chain of its own
        async for chunk in _original_recover(self, stream_error, has_spoken, held, *args):
            yield chunk
        return
    for chunk in held:
        yield chunk
    raise cause


def _error_status_and_message(error: Exception) -> tuple[int, str]:
    status, message = _original_status(error)
    told = getattr(error, "status_code", None)
    return told if isinstance(told, int) else status, message


async def begun(stream: Any) -> Begun:
    """A stream of raw events at the first one of an answer.

    Raises:
        OpenAIError, HTTPError: it failed before.
    """
    return await _Events(stream).begin()


class _Events(Begun):
    """Only whole events of Anthropic's are kept, without those that tell nothing but that it is alive."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream, _says_something, self._has_reported)
        self._has_told_usage = False
        self._unread = b""

    def _take(self, chunk: Any) -> bool:
        if not isinstance(chunk, bytes | bytearray | str):
            self._first.append(chunk)
            return True
        self._unread += chunk.encode() if isinstance(chunk, str) else chunk
        for frame in self._frames():
            event = _event(frame)
            if event is None or event["type"] == "ping":
                continue
            if (error := parse_anthropic_error_event(frame)) is not None:
                raise anthropic_error_frame_exception(*error, str(getattr(self._stream, "model", "")))
            self._note_usage(event)
            if self._is_word(event):
                self._first.append(frame + self._unread)
                return True
            self._first.append(frame)
        if len(self._unread) > MAX_UNREAD_BYTES:
            raise no_answer(self._stream)
        return False

    def _frames(self) -> Iterator[bytes]:
        """The whole events there are; what follows them stays unread."""
        while (end := _FRAME_END.search(self._unread)) is not None:
            frame, self._unread = self._unread[: end.end()], self._unread[end.end() :]
            yield frame

    def _note_usage(self, event: Mapping[str, Any]) -> None:
        message = event.get("message")
        for holder in (event, message if isinstance(message, Mapping) else {}):
            self._has_told_usage |= parse_usage(holder.get("usage")) is not None

    def _has_reported(self) -> bool:
        """Whether the provider told its usage: an answer of no word may be one."""
        if getattr(self._stream, "chunks", None) is None:
            return self._has_told_usage
        return tells_usage(self._stream)  # translated from a chat: LiteLLM counts where nothing was told


_FRAME_END = re.compile(rb"\r?\n\r?\n")


def _event(frame: bytes) -> Mapping[str, Any] | None:
    """What a frame says; None: it is no event of Anthropic's."""
    data = b"".join(line[5:].strip() for line in frame.splitlines() if line.startswith(b"data:"))
    try:
        event = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return event if isinstance(event, dict) and isinstance(event.get("type"), str) else None


def _says_something(event: Mapping[str, Any]) -> bool:
    """Whether it holds a part of the answer, or why there is none."""
    block, delta = event.get("content_block"), event.get("delta")
    match event["type"]:
        case "content_block_start" if isinstance(block, Mapping):
            if block.get("type") not in ("text", "thinking"):
                return True
            return bool(block.get("text") or block.get("thinking"))  # it mostly comes in deltas
        case "content_block_delta" if isinstance(delta, Mapping):
            return any(delta.get(name) for name in ("text", "thinking", "partial_json"))
        case "message_delta" if isinstance(delta, Mapping):
            return delta.get("stop_reason") not in (None, "end_turn")
        case _:
            return False
