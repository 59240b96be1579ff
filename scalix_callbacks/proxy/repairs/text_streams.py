"""1.106.2: the provider of a stream of `/v1/completions` is asked only when the router is done with the call.

So no failure of it is tried again or handed on to the next model.
"""

from typing import Any

import litellm

from scalix_callbacks.proxy.repairs import empty_streams

_original = litellm.atext_completion


def install() -> None:
    """Such a stream is given out with its first word."""
    litellm.atext_completion = atext_completion


async def atext_completion(*args: Any, **kwargs: Any) -> Any:
    response = await _original(*args, **kwargs)
    if not isinstance(response, litellm.TextCompletionStreamWrapper):
        return response
    return await empty_streams.begun(response)
