"""The hooks LiteLLM calls: guards around what it routes, and our form for what goes wrong."""

import json
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from typing import Any

from litellm.caching.caching import DualCache
from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy._types import UserAPIKeyAuth

from scalix_callbacks.core.call import CURRENT_CALL, current_request_id
from scalix_callbacks.core.catalogue import Catalogue
from scalix_callbacks.core.errors import ErrorCategory, GatewayError, invalid, render
from scalix_callbacks.core.routes import Endpoint
from scalix_callbacks.proxy import runtime
from scalix_callbacks.proxy.errors import AuthRefusal, ScalixProxyError, to_gateway_error

_log = logging.getLogger("scalix.calls")


class ScalixCallbacks(CustomLogger):
    """Every hook is defined here itself: LiteLLM looks some of them up on the leaf class alone."""

    def __init__(self, catalogue: Catalogue) -> None:
        super().__init__()
        self._catalogue = catalogue

    async def async_pre_call_hook(
        self, user_api_key_dict: UserAPIKeyAuth, cache: DualCache, data: dict[str, Any], call_type: str
    ) -> dict[str, Any]:
        """Last look before LiteLLM routes: nothing passes that was not authenticated by us."""
        call = CURRENT_CALL.get()
        if call is None or call.caller is None:
            raise ScalixProxyError(GatewayError(ErrorCategory.INVALID_API_KEY), current_request_id())
        if call.endpoint is not None and call.model is not None and not call.caller.is_operator:
            chain = runtime.gateway().usable_chain(call.caller, call.model)
            # Always set, so that neither a chain of the chain nor a model out of reach is tried.
            # Each is tried once: with retries of its own, the first would use up all calls of the chain.
            once = [{"model": model, "num_retries": 0} for model in chain]
            data["fallbacks"] = [{call.model: once}] if once else []
            if call.caller.models is not None:
                # Their chains are the router's own, which knows tiers, but no narrowed key.
                data["context_window_fallbacks"] = data["content_policy_fallbacks"] = []
        return data

    async def async_filter_deployments(
        self,
        model: str,
        healthy_deployments: list[dict[str, Any]],
        messages: list[Any] | None,
        request_kwargs: dict[str, Any] | None = None,
        parent_otel_span: Any = None,
    ) -> list[dict[str, Any]]:
        """Without the deployments that have no credentials: a provider's 401 would be the only answer.

        Started by our launcher, LiteLLM does not know them at all; started alone, it does.
        """
        if not isinstance(healthy_deployments, list):
            return healthy_deployments
        return [deployment for deployment in healthy_deployments if self._is_ready(deployment)]

    async def async_filter_listed_models(
        self, user_api_key_dict: UserAPIKeyAuth, model_names: Sequence[str]
    ) -> Sequence[str]:
        """The models this caller may use."""
        call = CURRENT_CALL.get()
        if call is None or call.caller is None:
            return []
        listed = set(runtime.gateway().listed_models(call.caller))
        return [name for name in model_names if name in listed]

    async def async_post_call_failure_hook(
        self,
        request_data: dict[str, Any],
        original_exception: Exception,
        user_api_key_dict: UserAPIKeyAuth,
        traceback_str: str | None = None,
    ) -> ScalixProxyError | None:
        """The failure as its caller may see it; None for what our auth refused: it says so itself."""
        if isinstance(original_exception, AuthRefusal):
            return None
        told = _told(original_exception)
        if CURRENT_CALL.get() is None and told.category is ErrorCategory.INTERNAL:
            # LiteLLM checks bodies before it asks who is calling; it raises a plain ValueError then.
            told = invalid("The request holds a field that is not open to callers. Remove it.")
        _leave_for_answer(told, original_exception)
        return ScalixProxyError(told, current_request_id())

    async def async_post_call_success_hook(
        self, data: dict[str, Any], user_api_key_dict: UserAPIKeyAuth, response: Any
    ) -> Any:
        """The answer, unless it is none."""
        if response is None:
            # What LiteLLM makes of a provider's second 422 where `drop_params` is on.
            raise ScalixProxyError(GatewayError(ErrorCategory.INVALID_REQUEST), current_request_id())
        if getattr(response, "error", None):
            # An error under status 200, in the provider's words.
            raise ScalixProxyError(GatewayError(ErrorCategory.PROVIDER_ERROR), current_request_id())
        return response

    async def async_post_call_streaming_iterator_hook(
        self, user_api_key_dict: UserAPIKeyAuth, response: Any, request_data: dict[str, Any]
    ) -> AsyncGenerator[Any, None]:
        """The stream, with a failure in the middle told as one frame in our form, then its end."""
        try:
            async for chunk in response:
                yield chunk
        except Exception as error:
            # Not raised on: LiteLLM would tell the client the provider's own words.
            request_data["_litellm_skip_openai_stream_done"] = True
            yield _error_frame(_told(error))

    async def async_post_call_response_headers_hook(
        self,
        data: dict[str, Any],
        user_api_key_dict: UserAPIKeyAuth,
        response: Any,
        request_headers: dict[str, str] | None = None,
        litellm_call_info: dict[str, Any] | None = None,
    ) -> dict[str, str]:
        """What every answer carries."""
        call = CURRENT_CALL.get()
        if call is None:
            return {}
        headers = {"x-scalix-request-id": call.request_id}
        if call.caller is not None and call.caller.tier is not None:
            headers["x-scalix-tier"] = call.caller.tier
        return headers

    def _is_ready(self, deployment: dict[str, Any]) -> bool:
        model = self._catalogue.find_listed(str(deployment.get("model_name")))
        if model is None or model.is_ready == all(d.is_ready for d in model.deployments):
            return model is None or model.is_ready
        name = (deployment.get("litellm_params") or {}).get("model")
        return any(d.is_ready for d in model.deployments if d.model == name)


HOOKS = (
    "async_pre_call_hook",
    "async_filter_deployments",
    "async_filter_listed_models",
    "async_post_call_failure_hook",
    "async_post_call_success_hook",
    "async_post_call_streaming_iterator_hook",
    "async_post_call_response_headers_hook",
)
"""What must be registered for the promises to hold; the doctor and every start check it."""


def _told(error: Exception) -> GatewayError:
    """The failure in our terms, logged once and without the provider's words."""
    told = to_gateway_error(error)
    if told.category is ErrorCategory.INTERNAL and isinstance(error, AttributeError) and error.obj is None:
        # LiteLLM goes on with the None it makes of a provider's second 422.
        told = GatewayError(ErrorCategory.PROVIDER_ERROR)
    call = CURRENT_CALL.get()
    _log.warning(
        "call failed category=%s cause=%s model=%s request_id=%s",
        told.category.value,
        type(error).__name__,
        call.model if call else None,
        current_request_id(),
    )
    return told


def _leave_for_answer(told: GatewayError, error: Exception) -> None:
    """Makes `told` what the client sees, also where LiteLLM ignores what a failure hook returns.

    `/v1/messages` and `/v1/completions` go on with the exception itself. Our edge then reads the call;
    without an edge, LiteLLM renders the exception: with our words in it instead of the provider's.
    """
    call = CURRENT_CALL.get()
    if call is not None:
        call.failure = told
    if isinstance(error, AuthRefusal):
        return
    error.args = (told.message,)
    for name, value in (("message", told.message), ("status_code", told.status), ("param", told.param)):
        if hasattr(error, name):
            with suppress(AttributeError, TypeError):  # some are properties
                setattr(error, name, value)


def _error_frame(error: GatewayError) -> bytes:
    call = CURRENT_CALL.get()
    body = json.dumps({"error": render(error, current_request_id())})
    if call is not None and call.endpoint is Endpoint.MESSAGES:
        # Anthropic's clients know errors by this event's name.
        return f"event: error\ndata: {body}\n\n".encode()
    return f"data: {body}\n\n".encode()
