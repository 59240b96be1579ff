"""Streams that are given out with their first word: a failure before it is one of their deployment's call."""

from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Self

import anyio
import httpx
import openai
from litellm.exceptions import InternalServerError, MidStreamFallbackError
from litellm.utils import TextCompletionStreamWrapper

from scalix_callbacks.proxy.repairs.counted_failures import IS_BEGINNING, broke

MAX_HELD = 200
"""Chunks without a word: LiteLLM's own bound. There may be a long thought behind them."""


class Begun:
    """LiteLLM's stream of one deployment, of which the chunks up to the first word are here already.

    Args:
        is_word: whether a chunk holds a part of the answer, or why there is none.
        is_answer: whether a stream that ended without a word was an answer nevertheless.
    """

    def __init__(self, stream: Any, is_word: Callable[[Any], bool], is_answer: Callable[[], bool]) -> None:
        self._stream = stream
        self._is_word = is_word
        self._is_answer = is_answer
        self._first: deque[Any] = deque()

    async def begin(self) -> Self:
        """Waits for the first word; what fails before it is noted and counted as a failure of who was asked.

        Raises:
            OpenAIError, HTTPError: the provider's failure; an InternalServerError where there is none of its
                own, but nothing that is understood either.
        """
        beginning = IS_BEGINNING.set(True)
        try:
            failure = await self._read()
        except BaseException:
            await self.aclose()
            raise
        finally:
            IS_BEGINNING.reset(beginning)
        if failure is None:
            return self
        await self.aclose()
        broke(failure)
        raise failure

    async def _read(self) -> Exception | None:
        """Up to the first word; what it failed with before."""
        try:
            async for chunk in self._stream:
                if self._take(chunk) or len(self._first) >= MAX_HELD:
                    return None
        except Exception as error:
            cause = error.original_exception if isinstance(error, MidStreamFallbackError) else None
            failure: Exception = cause or error
            is_told = isinstance(failure, openai.OpenAIError | httpx.HTTPError)
            return failure if is_told else no_answer(self._stream)  # LiteLLM stumbled over what it got
        return None if self._is_answer() else no_answer(self._stream)

    def _take(self, chunk: Any) -> bool:
        """Keeps it; whether it was the first word."""
        self._first.append(chunk)
        return self._is_word(chunk)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __aiter__(self) -> Self:
        return self

    def __anext__(self) -> Awaitable[Any]:
        # No coroutine of its own: from the first word on, each chunk would pass through one more.
        chunk: Awaitable[Any] = self._next_held() if self._first else self._stream.__anext__()
        return chunk

    async def aclose(self) -> None:
        """Leaves the provider, whatever becomes of its connection."""
        # By its own name: LiteLLM looks for it without asking `__getattr__`.
        with anyio.CancelScope(shield=True), suppress(Exception):
            stream = self._stream
            if isinstance(stream, TextCompletionStreamWrapper):
                stream = stream.completion_stream  # it cannot be closed itself
            if (close := getattr(stream, "aclose", None)) is not None:
                await close()

    async def _next_held(self) -> Any:
        return self._first.popleft()


def no_answer(stream: Any) -> InternalServerError:
    """That a deployment's stream ended before there was an answer."""
    return InternalServerError(
        message="The provider's stream held no answer.",
        model=str(getattr(stream, "model", None) or ""),
        llm_provider=str(getattr(stream, "custom_llm_provider", None) or ""),
    )


def tells_usage(stream: Any) -> bool:
    """Whether the provider told its usage: an answer of no word may be one."""
    return any(getattr(chunk, "usage", None) is not None for chunk in getattr(stream, "chunks", None) or ())
