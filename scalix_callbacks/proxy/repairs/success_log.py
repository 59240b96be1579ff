"""1.106.2: after each call LiteLLM prepares a log of it, whether anybody logs or not.

It redacts and copies messages and answer, assembles a payload of some sixty fields and tells it to a dozen
callbacks that do nothing with it. The one thing needed is the router's count of successes, by which it judges
whether a failing deployment needs a pause.
"""

from typing import Any

import litellm
from litellm._service_logger import ServiceLogging
from litellm.integrations.custom_logger import CustomLogger
from litellm.litellm_core_utils.litellm_logging import Logging
from litellm.router import Router
from litellm.router_utils.router_callbacks.track_deployment_metrics import (
    increment_deployment_successes_for_current_minute,
)

from scalix_callbacks.proxy.repairs.deployment_usage import counts_usage

_original = Logging.async_success_handler
_LISTENING = ("async_log_success_event", "async_log_stream_event", "async_logging_hook")


def install() -> None:
    """A call is logged as before where anybody listens: a callback of the YAML, a deployment with limits."""
    Logging.async_success_handler = _async_success_handler


async def _async_success_handler(self: Logging, result: Any = None, *args: Any, **kwargs: Any) -> None:
    if is_heard(self):
        await _original(self, result, *args, **kwargs)
        return
    if result is None or (isinstance(result, dict) and "content" not in result):
        return  # a stream in which nothing was understood
    for callback in litellm._async_success_callback:
        if is_routers(callback):
            _count_success(callback.__self__, self)


def is_heard(logging: Logging) -> bool:
    """Whether anybody does anything with the log of this call."""
    if logging.dynamic_async_success_callbacks:
        return True
    return any(map(_listens, litellm._async_success_callback))


def is_routers(callback: object) -> bool:
    """Whether it is the router's own count."""
    return getattr(callback, "__func__", None) is Router.deployment_callback_on_success


def _listens(callback: Any) -> bool:
    if is_routers(callback):
        return counts_usage(callback.__self__)
    if isinstance(callback, ServiceLogging):
        return bool(litellm.service_callback)
    if isinstance(callback, CustomLogger):
        kind = type(callback)
        return any(getattr(kind, name) is not getattr(CustomLogger, name) for name in _LISTENING)
    return True


def _count_success(router: Router, logging: Logging) -> None:
    params = logging.model_call_details.get("litellm_params") or {}
    deployment_id = (params.get("model_info") or {}).get("id")
    if deployment_id is not None and router.get_deployment(model_id=str(deployment_id)) is not None:
        increment_deployment_successes_for_current_minute(router, str(deployment_id))
