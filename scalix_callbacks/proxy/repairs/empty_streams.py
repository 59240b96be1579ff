"""1.106.2: a stream is out of the router's hands before there is a word of it.

What fails then is handed on to the next model at best, without another try of the same one; a stream in which
nothing was understood, such as garbage, ends as a complete answer. And some adapters (Gemini's) ask their
provider behind LiteLLM's hooks, which are told of no failure then.
"""

from typing import Any

from litellm.litellm_core_utils.streaming_handler import CustomStreamWrapper
from litellm.router import Router

from scalix_callbacks.proxy.repairs.begun import Begun, tells_usage
from scalix_callbacks.proxy.repairs.counted_failures import broke
from scalix_callbacks.proxy.stream_reading import says_something

_original = Router._acompletion_streaming_iterator
_original_fetch = CustomStreamWrapper.fetch_stream


def install() -> None:
    """A stream is given out with its first word: before it, all is as with an answer that is no stream."""
    Router._acompletion_streaming_iterator = _acompletion_streaming_iterator
    CustomStreamWrapper.fetch_stream = fetch_stream


async def _acompletion_streaming_iterator(
    self: Router, model_response: Any, *args: Any, deployment_slot: Any = None, **kwargs: Any
) -> Any:
    try:
        stream = await begun(model_response)
    except BaseException:
        if deployment_slot is not None:
            await deployment_slot.aclose()
        raise
    return await _original(self, stream, *args, deployment_slot=deployment_slot, **kwargs)


async def fetch_stream(self: CustomStreamWrapper) -> Any:
    """As LiteLLM's own; that the provider failed is noted and counted, of which no hook is told here."""
    try:
        return await _original_fetch(self)
    except Exception as error:  # of any class, and raised on
        broke(error)
        raise


async def begun(stream: Any) -> Begun:
    """A stream of a chat or a completion at its first word.

    Raises:
        OpenAIError, HTTPError: it failed before.
    """
    return await Begun(stream, says_something, lambda: tells_usage(stream)).begin()
