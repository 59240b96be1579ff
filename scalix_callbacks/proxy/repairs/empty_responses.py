"""1.106.2: the same of streams of `/v1/responses`, where LiteLLM also gives up at what it cannot read."""

from collections import deque
from typing import Any, Self

from litellm.router import Router

from scalix_callbacks.core.usage import parse_usage
from scalix_callbacks.proxy.repairs.empty_streams import next_or_failure, no_answer, tells_usage
from scalix_callbacks.proxy.whole_reading import says_something

MAX_HELD = 200
"""Events; LiteLLM's own bound for what it holds back before the first word."""

_original = Router._aresponses_streaming_iterator


def install() -> None:
    """Such a stream is a failure before the first word: the router then asks the next model."""
    Router._aresponses_streaming_iterator = _aresponses_streaming_iterator


async def _aresponses_streaming_iterator(self: Router, response: Any, *args: Any, **kwargs: Any) -> Any:
    return await _original(self, CheckedResponse(response), *args, **kwargs)


class CheckedResponse:
    """LiteLLM's stream of one deployment, of which all but the announcement is held back until there was a
    part of an answer."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._has_spoken = False
        self._ready: deque[Any] = deque()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        while not self._has_spoken:
            try:
                event = await next_or_failure(self._stream)
            except StopAsyncIteration:
                raise no_answer(self._stream) from None
            if event.type in _ANNOUNCEMENTS:
                return event  # the router holds these back itself
            self._ready.append(event)
            self._has_spoken = self._says_something(event)
            if not self._has_spoken and (event.type == _LAST or len(self._ready) > MAX_HELD):
                raise no_answer(self._stream)
        return self._ready.popleft() if self._ready else await self._stream.__anext__()

    def _says_something(self, event: Any) -> bool:
        """Whether it holds a part of the answer, or tells that there is one."""
        kind = str(getattr(event.type, "value", event.type))
        if kind in _OF_ITEMS:
            return str(_field(getattr(event, "item", None), "type")) != "message"
        if kind in _OF_PARTS:
            return any(getattr(event, name, None) for name in ("delta", "text", "refusal"))
        if kind != _LAST:
            return True
        return says_something(event.response) or self._has_reported(event.response)

    def _has_reported(self, response: Any) -> bool:
        """Whether the provider told its usage: an answer of no word may be one."""
        if (chat := getattr(self._stream, "litellm_custom_stream_wrapper", None)) is not None:
            return tells_usage(chat)
        # LiteLLM counts where nothing was told; of no word it counts no token.
        usage = _field(response, "usage")
        told = parse_usage(usage if isinstance(usage, dict) else getattr(usage, "__dict__", None))
        return told is not None and bool(told.completion_tokens)


# Tuples: the hash of LiteLLM's enumeration is not that of its text.
_ANNOUNCEMENTS = ("response.created", "response.in_progress", "response.queued")
_OF_ITEMS = ("response.output_item.added", "response.output_item.done")
_OF_PARTS = (
    "response.content_part.added",
    "response.content_part.done",
    "response.output_text.delta",
    "response.output_text.done",
    "response.refusal.delta",
    "response.refusal.done",
)
_LAST = "response.completed"


def _field(holder: Any, name: str) -> Any:
    return holder.get(name) if isinstance(holder, dict) else getattr(holder, name, None)
