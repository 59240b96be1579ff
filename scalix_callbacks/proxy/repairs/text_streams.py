"""1.106.2: the provider of a stream of `/v1/completions` is asked only when the router is done with the call.

So no failure of it is tried again or handed on to the next model.
"""

from typing import Any

import litellm

from scalix_callbacks.proxy.repairs.begun import Begun
from scalix_callbacks.proxy.stream_reading import says_something

_original = litellm.atext_completion


def install() -> None:
    """Such a stream is given out with its first word."""
    litellm.atext_completion = atext_completion


async def atext_completion(*args: Any, **kwargs: Any) -> Any:
    response = await _original(*args, **kwargs)
    if not isinstance(response, litellm.TextCompletionStreamWrapper):
        return response
    told: list[Any] = []

    def is_word(chunk: Any) -> bool:
        told.append(getattr(getattr(chunk, "usage", None), "completion_tokens", None))
        return says_something(chunk)

    # Whether its provider told its usage: LiteLLM counts where it did not, and of no word it counts no token.
    return await Begun(response, is_word, lambda: any(told)).begin()
