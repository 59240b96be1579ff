"""1.106.2: the provider of a stream of `/v1/completions` is asked only when the router is done with the call.

So no failure of it is tried again or handed on to the next model.
"""

from collections import deque
from typing import Any, Self

import litellm

from scalix_callbacks.proxy import tries
from scalix_callbacks.proxy.repairs.empty_streams import Checked
from scalix_callbacks.proxy.stream_reading import says_something

_original = litellm.atext_completion


def install() -> None:
    """Such a stream is given out with its first word."""
    litellm.atext_completion = atext_completion


async def atext_completion(*args: Any, **kwargs: Any) -> Any:
    response = await _original(*args, **kwargs)
    if not isinstance(response, litellm.TextCompletionStreamWrapper):
        return response
    begun = Begun(response)
    try:
        await begun.begin()
    except Exception as error:  # of any class: the router judges it
        tries.broke(error)
        raise
    return begun


class Begun:
    """LiteLLM's stream of one deployment, of which the chunks up to the first word are here already."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._chunks = Checked(stream)
        self._first: deque[Any] = deque()

    async def begin(self) -> None:
        """Raises what the provider failed with before the first word."""
        async for chunk in self._chunks:
            self._first.append(chunk)
            if says_something(chunk):
                return

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        return self._first.popleft() if self._first else await self._chunks.__anext__()
