"""1.106.2: a stream's failure is counted a moment later, against whichever deployment is asked by then.

The router has handed the call on: a key that Gemini refuses put the model that answered for it to rest. Some
failures it does not count at all, others more than once: those of adapters that ask through themselves.
"""

from collections.abc import Coroutine, Iterator, Mapping
from contextlib import suppress
from contextvars import ContextVar
from datetime import datetime
from typing import Any

import litellm
from litellm.exceptions import APIConnectionError, InternalServerError
from litellm.litellm_core_utils.litellm_logging import Logging
from litellm.responses.streaming_iterator import BaseResponsesAPIStreamingIterator
from litellm.router import Router
from litellm.router_utils import fallback_event_handlers

from scalix_callbacks.core.call import CURRENT_CALL
from scalix_callbacks.core.errors import ErrorCategory
from scalix_callbacks.proxy import tries
from scalix_callbacks.proxy.categories import category_of

IS_BEGINNING: ContextVar[bool] = ContextVar("scalix_is_beginning", default=False)
"""Whether a stream is read for its first word; whoever reads it counts its failure, as what it is."""
_COUNTED = "_scalix_is_counted"

_original_dispatch = Logging.dispatch_failure_handlers
_original_handle = BaseResponsesAPIStreamingIterator._handle_failure
_original_callback = Router.deployment_callback_on_failure
_original_trigger = fallback_event_handlers._trigger_cooldown_for_failed_deployment


def install() -> None:
    """The router counts it at once, and of each call one for each deployment; whoever else logs failures does
    so when LiteLLM has it."""
    Logging.dispatch_failure_handlers = dispatch_failure_handlers
    BaseResponsesAPIStreamingIterator._handle_failure = _handle_failure
    Router.deployment_callback_on_failure = deployment_callback_on_failure
    fallback_event_handlers._trigger_cooldown_for_failed_deployment = _trigger_cooldown


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
    deployment_id = ((kwargs.get("litellm_params") or {}).get("model_info") or {}).get("id")
    if not _is_first(deployment_id):
        return False
    judged = {**kwargs, "exception": _judged(kwargs.get("exception"))}
    return bool(_original_callback(self, judged, *args, **more))


def _trigger_cooldown(
    litellm_router: Router, kwargs: Mapping[str, Any], exception: Exception, *args: Any, **more: Any
) -> None:
    deployment_id = getattr(exception, "failed_deployment_id", None)
    if _is_first(deployment_id):
        judged = _judged(exception)
        judged.failed_deployment_id = deployment_id
        _original_trigger(litellm_router, kwargs, judged, *args, **more)


def broke(failure: Exception) -> None:
    """The stream of the deployment asked last failed before there was an answer in it: noted and counted."""
    call = CURRENT_CALL.get()
    if call is None or not call.tries:
        return
    tries.failed(call, failure)
    last = call.tries[-1]
    for router in _routers():
        deployment = router.get_deployment(model_id=last.deployment_id or "")
        if deployment is None:
            continue
        params = deployment.litellm_params.model_dump(include={"cooldown_time"})
        about = {
            "exception": failure,
            "litellm_params": {**params, "model_info": deployment.model_info.model_dump()},
            "litellm_metadata": {"model_group": last.names.get("model")},
        }
        router.deployment_callback_on_failure(about, None, now := datetime.now(), now)


def _judged(error: Any) -> Any:
    """As the router is to judge it: by LiteLLM's catch-all none rests, be the answer no JSON or cut."""
    if APIConnectionError.__name__ not in str(error) or category_of(error) not in _CAUGHT:
        return error
    return InternalServerError("There was no answer.", model="", llm_provider="")


_CAUGHT = (ErrorCategory.PROVIDER_ERROR, ErrorCategory.NETWORK_ERROR)


def _is_first(deployment_id: str | None) -> bool:
    """Whether of this call it is the first real failure of that deployment; asked again, it is not."""
    call = CURRENT_CALL.get()
    if call is None or deployment_id is None:
        return True
    if deployment_id in call.counted or call.simulated is not None:
        return False
    call.counted.add(deployment_id)
    return True


def _count(logging: Logging | None, exception: Exception) -> None:
    if logging is None or not logging.should_run_logging("sync_failure"):
        return
    if not IS_BEGINNING.get():
        now = datetime.now()
        for router in _routers():
            about = {**logging.model_call_details, "exception": exception}
            router.deployment_callback_on_failure(about, None, now, now)
    with suppress(AttributeError):
        setattr(exception, _COUNTED, True)


def _routers() -> Iterator[Router]:
    """Those that count failures."""
    for callback in litellm.failure_callback:
        if getattr(callback, "__func__", None) is deployment_callback_on_failure:
            yield callback.__self__
