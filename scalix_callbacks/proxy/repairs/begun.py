"""Streams that are given out with their first word: a failure before it is one of their deployment's call."""

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

import anyio
import httpx
import openai
from litellm.exceptions import InternalServerError, MidStreamFallbackError

from scalix_callbacks.proxy import tries

MAX_HELD = 200
"""Chunks without a word: LiteLLM's own bound. There may be a long thought behind them."""


class Begun:
    """LiteLLM's stream of one deployment, of which the chunks up to the first word are here already."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._first: deque[Any] = deque()

    async def begin(self, is_word: Callable[[Any], bool], is_answer: Callable[[], bool]) -> Self:
        """Waits for the first word; what fails before it is noted as a failure of who was asked.

        Args:
            is_word: whether a chunk holds a part of the answer, or why there is none.
            is_answer: whether a stream that ended without a word was an answer nevertheless.

        Raises:
            OpenAIError, HTTPError: the provider's failure; an InternalServerError where there is none of its
                own, but nothing that is understood either.
        """
        try:
            async for chunk in self._stream:
                self._first.append(chunk)
                if is_word(chunk) or len(self._first) >= MAX_HELD:
                    return self
            if is_answer():
                return self
            failure: Exception = no_answer(self._stream)
        except Exception as error:
            cause = error.original_exception if isinstance(error, MidStreamFallbackError) else None
            failure = cause or error
            if not isinstance(failure, openai.OpenAIError | httpx.HTTPError):
                failure = no_answer(self._stream)  # LiteLLM stumbled over what it got
        except BaseException:
            await self.aclose()
            raise
        await self.aclose()
        tries.broke(failure)
        raise failure

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        return self._first.popleft() if self._first else await self._stream.__anext__()

    async def aclose(self) -> None:
        """Leaves the provider, whatever becomes of its connection."""
        # By its own name: LiteLLM looks for it without asking `__getattr__`.
        with anyio.CancelScope(shield=True), suppress(Exception):
            if (close := getattr(self._stream, "aclose", None)) is not None:
                await close()


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
