"""1.106.2: the same of streams of `/v1/messages`, raw SSE in which all that a provider says goes on.

Here LiteLLM itself tries again and hands on what fails before the first word, where it is told of it.
"""

import re
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, Self

import httpx
import openai
import orjson
from litellm.exceptions import MidStreamFallbackError
from litellm.router import Router

from scalix_callbacks.core.usage import parse_usage
from scalix_callbacks.proxy import tries
from scalix_callbacks.proxy.repairs.begun import MAX_HELD, no_answer, tells_usage

MAX_UNREAD_BYTES = 1_000_000

_original = Router._aanthropic_messages_streaming_iterator


def install() -> None:
    """Such a stream is a failure before the first word, and nothing of it goes on."""
    Router._aanthropic_messages_streaming_iterator = _aanthropic_messages_streaming_iterator


async def _aanthropic_messages_streaming_iterator(
    self: Router, response: Any, *args: Any, **kwargs: Any
) -> Any:
    return await _original(self, CheckedEvents(response), *args, **kwargs)


class CheckedEvents:
    """LiteLLM's stream of one deployment. Until there was anything of an answer, only events of Anthropic's
    go on, and what would end it is held back."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._has_spoken = False
        self._has_told_usage = False
        self._unread = b""
        self._held: list[bytes] = []
        self._ready: deque[Any] = deque()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        while not self._ready:
            if self._has_spoken:
                return await self._stream.__anext__()
            try:
                chunk = await self._stream.__anext__()
            except StopAsyncIteration:
                if not self._has_reported():
                    raise self._failed() from None
                self._has_spoken = True
                self._ready += self._held
            except MidStreamFallbackError as error:
                tries.broke(error)
                raise
            except (openai.OpenAIError, httpx.HTTPError) as error:
                raise self._failed(error) from error
            except Exception as error:  # of any class: LiteLLM stumbled over what it got
                raise self._failed() from error
            else:
                self._read(chunk)
        return self._ready.popleft()

    async def aclose(self) -> None:
        # By its own name: LiteLLM looks for it without asking `__getattr__`.
        if (close := getattr(self._stream, "aclose", None)) is not None:
            await close()

    def _read(self, chunk: Any) -> None:
        if not isinstance(chunk, bytes | bytearray | str):
            self._speak(chunk)
            return
        self._unread += chunk.encode() if isinstance(chunk, str) else chunk
        for frame in self._frames():
            event = _event(frame)
            if event is None:
                if frame.startswith(b":"):
                    self._ready.append(frame)
                continue
            self._note_usage(event)
            if _says_something(event):
                self._speak(frame + self._unread)
                return
            if event["type"] in _APART:
                if event["type"] == "error":
                    self._failed()  # noted; what to do about it is LiteLLM's to say
                self._ready.append(frame)
            elif self._held or event["type"] not in _BEFORE:
                self._held.append(frame)
            else:
                self._ready.append(frame)
        if len(self._unread) > MAX_UNREAD_BYTES or len(self._held) > MAX_HELD:
            raise self._failed()

    def _failed(self, failure: Exception | None = None) -> MidStreamFallbackError:
        """The one kind of failure that LiteLLM hands on; noted as one of who was asked."""
        original = failure or no_answer(self._stream)
        tries.broke(original)
        return MidStreamFallbackError(
            message=str(original),
            model=str(getattr(self._stream, "model", None) or ""),
            llm_provider=str(getattr(self._stream, "custom_llm_provider", None) or ""),
            original_exception=original,
            is_pre_first_chunk=True,
        )

    def _frames(self) -> Iterator[bytes]:
        """The whole events there are; what follows them stays unread."""
        while (end := _FRAME_END.search(self._unread)) is not None:
            frame, self._unread = self._unread[: end.end()], self._unread[end.end() :]
            yield frame

    def _speak(self, last: Any) -> None:
        self._has_spoken = True
        self._ready += (*self._held, last)

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
_BEFORE = frozenset({"message_start", "content_block_start", "content_block_delta"})
_APART = frozenset({"ping", "error"})
"""They belong to no place in an answer. What an error says is kept from clients where all errors are."""


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
            return block.get("type") not in ("text", "thinking")  # what these say comes in deltas
        case "content_block_delta" if isinstance(delta, Mapping):
            return any(delta.get(name) for name in ("text", "thinking", "partial_json"))
        case "message_delta" if isinstance(delta, Mapping):
            return delta.get("stop_reason") not in (None, "end_turn")
        case _:
            return False
