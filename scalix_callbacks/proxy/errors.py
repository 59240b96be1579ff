"""What goes wrong, on its way out through LiteLLM: any exception → the one error body."""

import re
from collections.abc import Mapping
from math import ceil, isfinite
from typing import Any

import fastapi
from litellm.constants import DEFAULT_CHAT_COMPLETION_PARAM_VALUES, OPENAI_EMBEDDING_PARAMS
from litellm.proxy._types import ProxyException
from litellm.types.router import RouterRateLimitError

from scalix_callbacks.core.errors import ErrorCategory, GatewayError, render, response_headers
from scalix_callbacks.proxy.categories import category_of, causes, is_gone, text_of

MAX_PROMISED_WAIT_S = 3_600


def categorise(error: BaseException) -> ErrorCategory:
    """What went wrong: by class, then by status, then by a closed set of well-known words.

    A provider's own 401, 403 or 429 is never the caller's; unknown and our own bugs are `INTERNAL`.
    """
    own = _gateway_error(error)
    return own.category if own is not None else category_of(error)


def to_gateway_error(error: BaseException) -> GatewayError:
    """`error` as the caller sees it; nothing of the provider's text, address or model gets into it.

    A `GatewayError`, also one inside a `ScalixProxyError` or among the causes, is returned as it is.
    """
    own = _gateway_error(error)
    if own is not None:
        return own
    category = category_of(error)
    param = _param(error) if category is ErrorCategory.INVALID_REQUEST else None
    message = f"The field {param!r} is missing or not accepted. Correct it and send the request again."
    return GatewayError(
        category,
        message if param else None,
        param=param,
        is_retryable=False if category is ErrorCategory.MODEL_UNAVAILABLE and is_gone(error) else None,
        retry_after_s=_retry_after_s(error) if category in _WAITABLE else None,
    )


class AuthRefusal(ProxyException):
    """A `GatewayError` on its way out through LiteLLM's auth, which would rewrite an HTTPException.

    LiteLLM's handler of ProxyExceptions sends `to_dict()` with the status in `code`.
    """

    def __init__(self, error: GatewayError, request_id: str | None) -> None:
        # Not ProxyException's own constructor: it would change the status by words in the message.
        Exception.__init__(self, error.message)
        self.error = error
        self.request_id = request_id
        self.message = error.message
        self.type = error.kind.type
        self.param = error.param
        self.openai_code = error.category.value
        self.code = str(error.status)
        self.headers = response_headers(error)
        if request_id is not None:
            self.headers["x-scalix-request-id"] = request_id
        self.provider_specific_fields = None

    def to_dict(self) -> dict[str, Any]:
        """The inside of `{"error": …}`."""
        return render(self.error, self.request_id)

    def __str__(self) -> str:
        return self.message


class ScalixProxyError(AuthRefusal, fastapi.HTTPException):  # type: ignore[misc]  # both bases have headers
    """The same out of a hook: LiteLLM's failure hook heeds HTTPExceptions only."""

    def __init__(self, error: GatewayError, request_id: str | None) -> None:
        super().__init__(error, request_id)
        self.status_code = error.status
        self.detail = error.message


def _gateway_error(error: BaseException) -> GatewayError | None:
    for cause in causes(error):
        if isinstance(cause, GatewayError):
            return cause
        if isinstance(cause, AuthRefusal):
            return cause.error
    return None


_WAITABLE = (
    ErrorCategory.PROVIDER_RATE_LIMITED,
    ErrorCategory.OVERLOADED,
    ErrorCategory.MODEL_UNAVAILABLE,
    ErrorCategory.SERVICE_UNAVAILABLE,
)


def _retry_after_s(error: BaseException) -> float | None:
    """When the provider or the router said to come back; from 1 to MAX_PROMISED_WAIT_S, or None."""
    for cause in causes(error):
        if isinstance(cause, RouterRateLimitError):
            # Without deployments that cool down it names its default, which means nothing.
            return _bounded(cause.cooldown_time) if getattr(cause, "cooldown_list", None) else None
        for holder in (
            getattr(cause, "litellm_response_headers", None),
            getattr(getattr(cause, "response", None), "headers", None),
            getattr(cause, "headers", None),
        ):
            if isinstance(holder, Mapping):
                seconds = _seconds(holder.get("retry-after-ms"), 0.001)
                seconds = _seconds(holder.get("retry-after"), 1) if seconds is None else seconds
                if seconds is not None:
                    return seconds
        said = _RETRY_INFO.search(text_of(cause))
        if said is not None:
            return _seconds(said[1], 1)
    return None


_RETRY_INFO = re.compile(r'"retryDelay":\s*"(\d{1,6}(?:\.\d{1,9})?)s"')
"""Gemini tells its wait in the body alone, as google.rpc.RetryInfo."""


def _seconds(value: object, unit_s: float) -> float | None:
    try:
        return _bounded(float(str(value)[:32]) * unit_s)
    except ValueError:
        return None


def _bounded(seconds: object) -> float | None:
    if not isinstance(seconds, int | float) or not isfinite(seconds) or seconds < 0:
        return None
    return float(min(max(ceil(seconds), 1), MAX_PROMISED_WAIT_S))


_KNOWN_PARAMS = (
    frozenset(DEFAULT_CHAT_COMPLETION_PARAM_VALUES)
    | frozenset(OPENAI_EMBEDDING_PARAMS)
    | {"messages", "model", "input", "prompt", "stop_sequences", "instructions", "max_output_tokens", "text"}
)


def _param(error: BaseException) -> str | None:
    """The request field at fault, when it is one that clients know by this name."""
    for cause in causes(error):
        for holder in (cause, getattr(cause, "body", None)):
            value = holder.get("param") if isinstance(holder, dict) else getattr(holder, "param", None)
            if isinstance(value, str) and len(value) <= 200:
                name = re.split(r"[.\[]", value, maxsplit=1)[0]
                if name in _KNOWN_PARAMS:
                    return name
    return None
