"""1.106.2: a stream's failure is counted a moment later, against whichever deployment is asked by then.

The router has handed the call on: a key that Gemini refuses put the model that answered for it to rest.
"""

from collections.abc import Coroutine
from contextlib import suppress
from datetime import datetime
from typing import Any

import litellm
from litellm.litellm_core_utils.litellm_logging import Logging
from litellm.responses.streaming_iterator import BaseResponsesAPIStreamingIterator
from litellm.router import Router

_COUNTED = "_scalix_is_counted"

_original_dispatch = Logging.dispatch_failure_handlers
_original_handle = BaseResponsesAPIStreamingIterator._handle_failure
_original_callback = Router.deployment_callback_on_failure


def install() -> None:
    """The router counts it at once; whoever else logs failures does so when LiteLLM has it."""
    Logging.dispatch_failure_handlers = dispatch_failure_handlers
    BaseResponsesAPIStreamingIterator._handle_failure = _handle_failure
    Router.deployment_callback_on_failure = deployment_callback_on_failure


def dispatch_failure_handlers(
    self: Logging, exception: Exception, *args: Any, **kwargs: Any
) -> Coroutine[Any, Any, None]:
    # No coroutine itself: LiteLLM makes a task of it, and goes on.
    _count(self, exception)
    later: Coroutine[Any, Any, None] = _original_dispatch(self, exception, *args, **kwargs)
    return later


def _handle_failure(self: BaseResponsesAPIStreamingIterator, exception: Exception) -> None:
    if not self._failure_handled:
        _count(self.logging_obj, exception)
    _original_handle(self, exception)


def deployment_callback_on_failure(self: Router, kwargs: dict[str, Any], *args: Any, **more: Any) -> bool:
    if getattr(kwargs.get("exception"), _COUNTED, False):
        return False
    return bool(_original_callback(self, kwargs, *args, **more))


def _count(logging: Logging | None, exception: Exception) -> None:
    if logging is None or not logging.should_run_logging("sync_failure"):
        return
    now = datetime.now()
    for callback in litellm.failure_callback:
        if getattr(callback, "__func__", None) is deployment_callback_on_failure:
            callback({**logging.model_call_details, "exception": exception}, None, now, now)
    with suppress(AttributeError):
        setattr(exception, _COUNTED, True)
