"""1.106.2: what is wrong with one caller's request is tried again, and held against the deployment.

A deployment rests for everybody at once by a 404, also where that is of an address which its provider does
not have: embeddings of a chat model, `/v1/responses` of many a server. And a request that cannot be
translated counts as three failures. A failed call takes nothing from its caller's limits, so that anybody
could shut any model for all users, as often as they like.
"""

from typing import Any

import litellm.router as router_module
from litellm.router import Router
from litellm.router_utils import fallback_event_handlers
from litellm.router_utils.cooldown_handlers import is_advisor_orchestration_failure

from scalix_callbacks.core.call import CURRENT_CALL
from scalix_callbacks.core.errors import ErrorCategory
from scalix_callbacks.core.routes import Endpoint
from scalix_callbacks.proxy.categories import category_of
from scalix_callbacks.proxy.repairs import refused_keys

_CALLERS = frozenset(
    {
        ErrorCategory.INVALID_REQUEST,
        ErrorCategory.CONTEXT_WINDOW_EXCEEDED,
        ErrorCategory.CONTENT_POLICY,
        ErrorCategory.REQUEST_TOO_LARGE,
    }
)


def install() -> None:
    """LiteLLM asks in both places whether a failure is the deployment's own, before it counts it."""
    router_module.is_advisor_orchestration_failure = is_not_the_deployments
    fallback_event_handlers.is_advisor_orchestration_failure = is_not_the_deployments
    Router.should_retry_this_error = _should_retry_this_error


def is_not_the_deployments(error: BaseException | None) -> bool:
    """Whether a failure says nothing of how the deployment is."""
    if error is None or is_advisor_orchestration_failure(error):
        return error is not None
    return category_of(error) in _CALLERS or _is_of_another_address(error)


def _is_of_another_address(error: BaseException) -> bool:
    """A 404 of what is no chat: its provider may not have that address, or what the request refers to."""
    call = CURRENT_CALL.get()
    is_chat = call is None or call.endpoint in (None, Endpoint.CHAT)
    return not is_chat and getattr(error, "status_code", None) == 404


def _should_retry_this_error(self: Router, error: Exception, *args: Any, **kwargs: Any) -> Any:
    if category_of(error) in _CALLERS:
        raise error
    return refused_keys.should_retry_this_error(self, error, *args, **kwargs)
