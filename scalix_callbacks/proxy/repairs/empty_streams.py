"""1.106.2: a stream in which nothing was understood, such as garbage, ends as a complete answer."""

from collections import deque
from typing import Any, Self

import httpx
import openai
from litellm.exceptions import InternalServerError, MidStreamFallbackError
from litellm.router import Router

from scalix_callbacks.proxy import tries
from scalix_callbacks.proxy.stream_reading import is_finish, says_something

_original = Router._acompletion_streaming_iterator


def install() -> None:
    """Such a stream is a failure before the first word: the router then asks the next model."""
    Router._acompletion_streaming_iterator = _acompletion_streaming_iterator


async def _acompletion_streaming_iterator(
    self: Router, model_response: Any, *args: Any, **kwargs: Any
) -> Any:
    return await _original(self, HandedOn(model_response), *args, **kwargs)


class Checked:
    """LiteLLM's stream of one deployment, whose end is held back until there was anything before it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._has_spoken = False
        self._has_ended = False
        self._held: deque[Any] = deque()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        if self._has_spoken and not self._held:
            return await self._stream.__anext__()
        while not self._has_spoken and not self._has_ended:
            try:
                chunk = await self._next()
            except StopAsyncIteration:
                self._has_ended = True
                if not tells_usage(self._stream):
                    raise no_answer(self._stream) from None
                break
            self._has_spoken = says_something(chunk)
            if not (self._has_spoken or self._held or is_finish(chunk)):
                return chunk
            self._held.append(chunk)
        if not self._held:
            raise StopAsyncIteration
        return self._held.popleft()

    async def _next(self) -> Any:
        return await self._stream.__anext__()


class HandedOn(Checked):
    """The same, where the router asks another model after one kind of failure alone."""

    async def _next(self) -> Any:
        return await next_or_failure(self._stream)


async def next_or_failure(stream: Any) -> Any:
    """The next of a stream in which nothing was said yet.

    Raises:
        StopAsyncIteration: it ended.
        MidStreamFallbackError: it failed, whatever with; some failures LiteLLM does not hand on.
    """
    try:
        return await stream.__anext__()
    except StopAsyncIteration:
        raise
    except MidStreamFallbackError as error:
        tries.broke(error)
        raise
    except (openai.OpenAIError, httpx.HTTPError) as error:
        raise no_answer(stream, error) from error
    except Exception as error:  # of any class: LiteLLM stumbled over what it got
        raise no_answer(stream) from error


def no_answer(stream: Any, failure: Exception | None = None) -> MidStreamFallbackError:
    """That a deployment's stream ended before there was an answer: the router then asks the next model.

    It is noted as a failure of who was asked.

    Args:
        failure: why, where it is known.
    """
    original = failure or InternalServerError(**_about(stream))
    tries.broke(original)
    return MidStreamFallbackError(**_about(stream), original_exception=original, is_pre_first_chunk=True)


def _about(stream: Any) -> dict[str, str]:
    return {
        "message": "The provider's stream held no answer.",
        "model": str(getattr(stream, "model", None) or ""),
        "llm_provider": str(getattr(stream, "custom_llm_provider", None) or ""),
    }


def tells_usage(stream: Any) -> bool:
    """Whether the provider told its usage: an answer of no word may be one."""
    return any(getattr(chunk, "usage", None) is not None for chunk in getattr(stream, "chunks", None) or ())
