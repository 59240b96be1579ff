"""1.106.2: the same of streams of `/v1/responses`, where LiteLLM also gives up at what it cannot read.

And where one fails behind its first word, LiteLLM lets the next model begin a second answer behind it.
"""

from collections.abc import AsyncGenerator
from typing import Any

from litellm.exceptions import MidStreamFallbackError
from litellm.router import Router

from scalix_callbacks.core.usage import parse_usage
from scalix_callbacks.proxy.repairs.begun import Begun, tells_usage
from scalix_callbacks.proxy.whole_reading import says_something

_original = Router._aresponses_streaming_iterator


def install() -> None:
    """Such a stream is given out with its first word, too; what fails behind it is told."""
    Router._aresponses_streaming_iterator = _aresponses_streaming_iterator
    Router._aresponses_fallback_attempt = _aresponses_fallback_attempt


async def _aresponses_streaming_iterator(self: Router, response: Any, *args: Any, **kwargs: Any) -> Any:
    return await _original(self, await begun(response), *args, **kwargs)


async def _aresponses_fallback_attempt(
    self: Router, e: MidStreamFallbackError, *args: Any, **kwargs: Any
) -> AsyncGenerator[Any, None]:
    """In the place of the next model's answer: what failed before the first word was handed on by then."""
    raise e.original_exception or e
    yield  # a generator, as LiteLLM's is


async def begun(stream: Any) -> Begun:
    """A stream of events at the first one of an answer.

    Raises:
        OpenAIError, HTTPError: it failed before.
    """
    return await Begun(stream, lambda event: _is_word(event, stream), lambda: False).begin()


def _is_word(event: Any, stream: Any) -> bool:
    """Whether it holds a part of the answer, or tells that there is one."""
    kind = str(getattr(event.type, "value", event.type))
    if kind in _ANNOUNCEMENTS:
        return False
    if kind in _OF_ITEMS:
        return str(_field(getattr(event, "item", None), "type")) != "message"
    if kind in _OF_PARTS:
        return any(getattr(event, name, None) for name in ("delta", "text", "refusal"))
    if kind != "response.completed":
        return True
    return says_something(event.response) or _has_reported(event.response, stream)


def _has_reported(response: Any, stream: Any) -> bool:
    """Whether the provider told its usage: an answer of no word may be one."""
    if (chat := getattr(stream, "litellm_custom_stream_wrapper", None)) is not None:
        return tells_usage(chat)
    # LiteLLM counts where nothing was told; of no word it counts no token.
    usage = _field(response, "usage")
    told = parse_usage(usage if isinstance(usage, dict) else getattr(usage, "__dict__", None))
    return told is not None and bool(told.completion_tokens)


_ANNOUNCEMENTS = frozenset({"response.created", "response.in_progress", "response.queued"})
_OF_ITEMS = frozenset({"response.output_item.added", "response.output_item.done"})
_OF_PARTS = frozenset(
    {
        "response.content_part.added",
        "response.content_part.done",
        "response.output_text.delta",
        "response.output_text.done",
        "response.refusal.delta",
        "response.refusal.done",
    }
)


def _field(holder: Any, name: str) -> Any:
    return holder.get(name) if isinstance(holder, dict) else getattr(holder, name, None)
