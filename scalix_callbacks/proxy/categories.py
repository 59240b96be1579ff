"""Foreign exceptions (LiteLLM's, an SDK's, the network's) → the category of the failure."""

import asyncio
import ssl
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import aiohttp
import aiohttp.http_exceptions
import fastapi.exceptions
import httpx
import openai
import starlette.exceptions
from litellm import exceptions as litellm_exceptions
from litellm.caching.redis_cache import RedisCircuitBreakerOpenError
from litellm.litellm_core_utils.exception_mapping_utils import ExceptionCheckers
from litellm.llms.base_llm.chat.transformation import BaseLLMException
from litellm.proxy._types import ModelAccessDeniedProxyException, ProxyErrorTypes, ProxyException
from litellm.proxy.auth.model_access_denied import ModelAccessDeniedHTTPException
from litellm.proxy.common_utils.proxy_rate_limit_error import ProxyRateLimitError
from litellm.proxy.middleware.request_size_limit_middleware import RequestEntityTooLarge
from litellm.proxy.route_llm_request import ProxyModelNotFoundError
from litellm.types.router import RouterErrors, RouterRateLimitError, RouterRateLimitErrorBasic

from scalix_callbacks.core.errors import ErrorCategory
from scalix_callbacks.proxy.raised_in import at_a_request, at_an_answer, quotes_an_answer

MAX_CAUSES = 10
"""How many causes of an exception are looked at."""
MAX_TEXT = 4_000
"""How many characters of a foreign text are searched for markers."""
MAX_TRACEBACK = 20_000
"""The same of one that quotes a traceback."""

_C = ErrorCategory


def category_of(error: BaseException) -> ErrorCategory:
    """By class, then by status, then by a closed set of well-known words; unknown is `INTERNAL`.

    A provider's own 401, 403 or 429 is never the caller's.
    """
    for cause in causes(error):
        category = _of_one(cause)
        if category is not None:
            return category
    if any(map(at_a_request, causes(error))):
        return _C.INVALID_REQUEST
    return _C.PROVIDER_ERROR if any(map(at_an_answer, causes(error))) else _C.INTERNAL


def causes(error: BaseException) -> Iterator[BaseException]:
    """`error` and what led to it, nearest first, at most MAX_CAUSES of them."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen and len(seen) < MAX_CAUSES:
        seen.add(id(current))
        yield current
        if isinstance(current, BaseExceptionGroup):
            current = current.exceptions[0]
            continue
        original = getattr(current, "original_exception", None)
        if isinstance(original, BaseException):
            current = original
        else:
            current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)


def _of_one(error: BaseException) -> ErrorCategory | None:
    """The category of this exception alone; None: its cause must tell."""
    for cls in type(error).__mro__:
        rule = _BY_CLASS.get(cls)
        if rule is not None:
            return rule if isinstance(rule, ErrorCategory) else rule(error)
    if "Max retries per request hit!" in text_of(error):  # a bare Exception: the cap on calls was reached
        return _C.PROVIDER_ERROR
    return None


class _Rule(Protocol):
    def __call__(self, error: Any, /) -> ErrorCategory | None: ...


def _wrapper(error: Any) -> ErrorCategory | None:
    """An exception around another one; alone it says that the provider failed."""
    return (
        None if isinstance(getattr(error, "original_exception", None), BaseException) else _C.PROVIDER_ERROR
    )


def _bad_request(error: Any) -> ErrorCategory:
    """400 of a provider, or of the router; some providers say everything with it."""
    # The code is not in the text of LiteLLM's classes; that of an upstream Scalix is a category of ours.
    text = _said(error)
    if any(marker in text for marker in _NO_SUCH_MODEL):
        return _C.MODEL_NOT_FOUND
    if _is_context_window(text):
        return _C.CONTEXT_WINDOW_EXCEEDED
    if _is_content_policy(text):
        return _C.CONTENT_POLICY
    if any(marker in text for marker in _REFUSED_KEY):
        return _C.PROVIDER_AUTH
    if any(marker in text for marker in _NOT_SERVED):
        return _C.MODEL_UNAVAILABLE
    if any(marker in text for marker in _UNREADABLE_ANSWER):
        return _C.PROVIDER_ERROR
    status = _answered(error) or _status(error)
    return _C.INVALID_REQUEST if status in (None, 400, 422) else _by_status(status)


def _server_side(error: Any) -> ErrorCategory:
    """5xx, and LiteLLM's catch-all classes: a broken connection looks the same as a broken answer."""
    network = next((c for cause in causes(error) if (c := _of_network(cause))), None)
    if network is not None:
        return network
    text = _said(error)
    if any(marker in text for marker in _BUSY):
        return _C.PROVIDER_RATE_LIMITED
    if RouterErrors.no_deployments_with_provider_budget_routing.value.lower() in text:
        return _C.MODEL_UNAVAILABLE
    status = _status(error)
    if status == 400:
        return _bad_request(error)
    if status not in (None, 200, 500):
        return _by_status(status)
    return _C.INVALID_REQUEST if any(map(at_a_request, causes(error))) else _C.PROVIDER_ERROR


def _connection(error: Any) -> ErrorCategory:
    """LiteLLM's APIConnectionError: also its catch-all for requests it cannot translate and answers it
    cannot read.
    """
    category = _server_side(error)
    if category is not _C.PROVIDER_ERROR:
        return category
    text = text_of(error).lower()
    is_answer = (
        _answered(error) is not None
        or any(marker in text for marker in _UNREADABLE_ANSWER)
        or quotes_an_answer(text_of(error, MAX_TRACEBACK))
        or any(isinstance(cause, _OF_UNREADABLE_ANSWERS) for cause in causes(error))
        # The SDK's word for an error that the provider told within its stream.
        or any(type(cause) is openai.APIError for cause in causes(error))
    )
    return _C.PROVIDER_ERROR if is_answer else _C.NETWORK_ERROR


def _http_status(error: Any) -> ErrorCategory:
    """A provider's answer with a status and nothing else known about it."""
    status = _status(error)
    if status is None or status >= 500 or status == 200:
        return _server_side(error)
    if status == 403 and _is_content_policy(text_of(error).lower()):
        return _C.CONTENT_POLICY  # OpenRouter's moderation
    return _bad_request(error) if status in (400, 422) else _by_status(status)


def _by_status(status: int | None) -> ErrorCategory:
    """What a provider's HTTP status means to the caller of the gateway."""
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return _C.INVALID_REQUEST if status is not None and 400 <= status < 500 else _C.PROVIDER_ERROR


def _of_network(error: BaseException) -> ErrorCategory | None:
    for cls in type(error).__mro__:
        if cls in _NETWORK:
            return _NETWORK[cls]
    return None


def _proxy_exception(error: ProxyException) -> ErrorCategory | None:
    """LiteLLM's proxy speaking: for itself, or with a provider's status as its own."""
    kind = str(getattr(error.type, "value", error.type)) if hasattr(error, "type") else ""
    if kind in _BY_PROXY_TYPE:
        return _BY_PROXY_TYPE[kind]
    if any(_is_provider(cause) for cause in list(causes(error))[1:]):
        return None
    code = str(getattr(error, "code", ""))
    status = int(code) if code.isascii() and code.isdigit() and len(code) == 3 else None
    headers = getattr(error, "headers", None) or {}
    if any(str(name).lower().startswith("llm_provider-") for name in headers):
        return _by_status(status)
    return _proxy_status(status, text_of(error))


def _http_exception(error: Any) -> ErrorCategory:
    return _proxy_status(getattr(error, "status_code", None), str(getattr(error, "detail", ""))[:MAX_TEXT])


def _proxy_status(status: int | None, text: str) -> ErrorCategory:
    """What a status means when the proxy itself says it."""
    lower = text.lower()
    if any(marker in lower for marker in _NO_SUCH_MODEL):
        return _C.MODEL_NOT_FOUND
    if "no deployments available" in lower or "no healthy deployment" in lower:
        return _C.MODEL_UNAVAILABLE
    if status == 429 and "budget" in lower:
        return _C.BUDGET_EXCEEDED
    if status in _BY_PROXY_STATUS:
        return _BY_PROXY_STATUS[status]
    return _C.INVALID_REQUEST if status is not None and 400 <= status < 500 else _C.INTERNAL


def _proxy_rate_limit(error: Any) -> ErrorCategory:
    """LiteLLM's own limiter, which also is a RateLimitError and an HTTPException."""
    return (
        _C.BUDGET_EXCEEDED if getattr(error, "rate_limit_type", None) == "budget" else _C.RATE_LIMIT_EXCEEDED
    )


def _rate_limit(error: Any) -> ErrorCategory:
    if str(getattr(error, "category", "")).startswith("litellm_"):
        return _proxy_rate_limit(error)
    return _C.PROVIDER_RATE_LIMITED


def _is_provider(error: BaseException) -> bool:
    return isinstance(error, openai.OpenAIError | BaseLLMException | httpx.HTTPError | aiohttp.ClientError)


_OF_UNREADABLE_ANSWERS = (ValueError, TypeError, LookupError, AttributeError, AssertionError)
_UNREADABLE_ANSWER = (
    "converting to valid response",
    "unable to get json response",
    "invalid response object",
    "closed the responses stream before any terminal event",
    "got unexpected response from",  # an error that Ollama told within its stream
)
_NO_SUCH_MODEL = (
    "invalid model name passed in",
    "llm provider not provided",
    RouterErrors.no_healthy_deployments.value.lower(),  # what the router says of a name it has not
)
_REFUSED_KEY = (
    "api key not valid",
    "api_key_invalid",
    "invalid api key",
    "incorrect api key",
    "credit balance is too low",
    "user location is not supported",
)
"""What is wrong with the gateway's account or place, not with the request, though it comes with 400: a key
that Gemini refuses or a country it does not serve, an account at Anthropic without money."""
_NOT_SERVED = ("model not exist", "is not a valid model id", "model unloaded", "failed to load model")
"""DeepSeek, OpenRouter and LM Studio answer 400, not 404, for a model they do not have."""
_BUSY = ("overloaded", "service is too busy", "server busy")
_CONTEXT_WINDOW = (
    "context_length_exceeded",
    "prompt is too long",
    "input is too long",
    "context window",
    "context length",
    "context_window_exceeded",
)
_CONTENT_POLICY = (
    "content_filter",
    "content filtering policy",
    "prohibited_content",
    "content management policy",
    "content_policy",
    "content exists risk",
    "requires moderation and your input was flagged",
)


def _is_context_window(text: str) -> bool:
    return any(marker in text for marker in _CONTEXT_WINDOW) or bool(
        ExceptionCheckers.is_error_str_context_window_exceeded(text)
    )


def _is_content_policy(text: str) -> bool:
    return any(marker in text for marker in _CONTENT_POLICY) or bool(
        ExceptionCheckers.is_azure_content_policy_violation_error(text)
    )


_BY_STATUS: Mapping[int | None, ErrorCategory] = {
    401: _C.PROVIDER_AUTH,
    402: _C.PROVIDER_AUTH,  # the gateway's account there has no money
    403: _C.PROVIDER_AUTH,
    404: _C.MODEL_UNAVAILABLE,
    405: _C.PROVIDER_ERROR,
    407: _C.NETWORK_ERROR,
    408: _C.PROVIDER_TIMEOUT,
    409: _C.PROVIDER_ERROR,
    410: _C.MODEL_UNAVAILABLE,
    413: _C.REQUEST_TOO_LARGE,
    425: _C.PROVIDER_RATE_LIMITED,
    429: _C.PROVIDER_RATE_LIMITED,
    451: _C.CONTENT_POLICY,
    498: _C.PROVIDER_RATE_LIMITED,  # Groq: flex capacity exceeded
    499: _C.PROVIDER_ERROR,
    503: _C.PROVIDER_ERROR,
    504: _C.PROVIDER_TIMEOUT,
    524: _C.PROVIDER_TIMEOUT,  # Cloudflare
    529: _C.PROVIDER_RATE_LIMITED,  # Anthropic
}
_BY_PROXY_STATUS: Mapping[int | None, ErrorCategory] = {
    401: _C.INVALID_API_KEY,
    402: _C.BUDGET_EXCEEDED,
    403: _C.PERMISSION_DENIED,
    404: _C.NOT_FOUND,
    405: _C.METHOD_NOT_ALLOWED,
    408: _C.PROVIDER_TIMEOUT,
    409: _C.CONFLICT,
    413: _C.REQUEST_TOO_LARGE,
    429: _C.RATE_LIMIT_EXCEEDED,
    499: _C.CLIENT_CLOSED,
    502: _C.PROVIDER_ERROR,
    503: _C.SERVICE_UNAVAILABLE,
    504: _C.PROVIDER_TIMEOUT,
}
_PT = ProxyErrorTypes
_BY_PROXY_TYPE: Mapping[str, ErrorCategory] = {
    _PT.auth_error.value: _C.INVALID_API_KEY,
    _PT.expired_key.value: _C.INVALID_API_KEY,
    _PT.token_not_found_in_db.value: _C.INVALID_API_KEY,
    _PT.budget_exceeded.value: _C.BUDGET_EXCEEDED,
    _PT.auth_provider_unavailable.value: _C.SERVICE_UNAVAILABLE,
    _PT.no_db_connection.value: _C.SERVICE_UNAVAILABLE,
    _PT.cache_ping_error.value: _C.SERVICE_UNAVAILABLE,
    _PT.model_cost_map_missing.value: _C.INTERNAL,
    _PT.validation_error.value: _C.INVALID_REQUEST,
    _PT.team_member_permission_error.value: _C.PERMISSION_DENIED,
    _PT.team_member_already_in_team.value: _C.CONFLICT,
} | {
    kind.value: _C.MODEL_NOT_IN_TIER if "_model_" in kind.value else _C.PERMISSION_DENIED
    for kind in _PT
    if kind.value.endswith("_access_denied")
}

_NETWORK: Mapping[type, ErrorCategory] = {
    httpx.TimeoutException: _C.PROVIDER_TIMEOUT,
    httpx.PoolTimeout: _C.OVERLOADED,
    httpx.TransportError: _C.NETWORK_ERROR,
    aiohttp.ServerTimeoutError: _C.PROVIDER_TIMEOUT,
    aiohttp.ClientConnectionError: _C.NETWORK_ERROR,
    aiohttp.ClientPayloadError: _C.NETWORK_ERROR,
    openai.APITimeoutError: _C.PROVIDER_TIMEOUT,
    TimeoutError: _C.PROVIDER_TIMEOUT,
    ConnectionError: _C.NETWORK_ERROR,
    ssl.SSLError: _C.NETWORK_ERROR,
    asyncio.IncompleteReadError: _C.NETWORK_ERROR,
}

_L = litellm_exceptions
_BY_CLASS: Mapping[type, ErrorCategory | _Rule] = {
    **_NETWORK,
    # LiteLLM's exceptions for what a provider answered
    _L.AuthenticationError: _C.PROVIDER_AUTH,
    _L.PermissionDeniedError: _C.PROVIDER_AUTH,
    _L.PaymentRequiredError: _C.PROVIDER_AUTH,
    _L.NotFoundError: _C.MODEL_UNAVAILABLE,
    _L.BadRequestError: _bad_request,
    _L.InvalidRequestError: _bad_request,
    _L.UnprocessableEntityError: _bad_request,
    _L.UnsupportedParamsError: _C.INVALID_REQUEST,
    _L.ImageFetchError: _C.INVALID_REQUEST,
    _L.ContextWindowExceededError: _C.CONTEXT_WINDOW_EXCEEDED,
    _L.ContentPolicyViolationError: _C.CONTENT_POLICY,
    _L.RejectedRequestError: _C.CONTENT_POLICY,
    _L.Timeout: _C.PROVIDER_TIMEOUT,
    _L.RateLimitError: _rate_limit,
    _L.ServiceUnavailableError: _server_side,
    _L.BadGatewayError: _server_side,
    _L.InternalServerError: _server_side,
    _L.APIError: _http_status,
    _L.APIConnectionError: _connection,
    _L.APIResponseValidationError: _C.PROVIDER_ERROR,
    _L.OpenAIError: _wrapper,
    _L.MockException: _http_status,
    _L.MidStreamFallbackError: _wrapper,
    _L.LiteLLMUnknownProvider: _C.MODEL_NOT_FOUND,
    _L.BudgetExceededError: _C.BUDGET_EXCEEDED,
    _L.GuardrailRaisedException: _C.CONTENT_POLICY,
    _L.BlockedPiiEntityError: _C.CONTENT_POLICY,
    _L.ModifyResponseException: _C.CONTENT_POLICY,
    _L.SensitiveDataRouteException: _C.CONTENT_POLICY,
    _L.ModelNotMappedError: _C.INTERNAL,
    BaseLLMException: _http_status,
    # its router and proxy
    RouterRateLimitError: _C.MODEL_UNAVAILABLE,
    RouterRateLimitErrorBasic: _C.PROVIDER_RATE_LIMITED,
    RedisCircuitBreakerOpenError: _C.SERVICE_UNAVAILABLE,
    RequestEntityTooLarge: _C.REQUEST_TOO_LARGE,
    ProxyModelNotFoundError: _C.MODEL_NOT_FOUND,
    ModelAccessDeniedProxyException: _C.MODEL_NOT_IN_TIER,
    ModelAccessDeniedHTTPException: _C.MODEL_NOT_IN_TIER,
    ProxyRateLimitError: _proxy_rate_limit,
    ProxyException: _proxy_exception,
    starlette.exceptions.HTTPException: _http_exception,
    fastapi.exceptions.RequestValidationError: _C.INVALID_REQUEST,
    # the SDKs and transports beneath it
    openai.APIConnectionError: _connection,
    openai.APIResponseValidationError: _C.PROVIDER_ERROR,
    openai.RateLimitError: _C.PROVIDER_RATE_LIMITED,
    openai.APIError: _http_status,
    openai.ContentFilterFinishReasonError: _C.CONTENT_POLICY,
    openai.OpenAIError: _C.PROVIDER_ERROR,
    httpx.HTTPStatusError: _http_status,
    httpx.LocalProtocolError: _C.INTERNAL,
    httpx.UnsupportedProtocol: _C.INTERNAL,
    httpx.HTTPError: _C.PROVIDER_ERROR,
    aiohttp.InvalidUrlRedirectClientError: _C.PROVIDER_ERROR,
    aiohttp.NonHttpUrlRedirectClientError: _C.PROVIDER_ERROR,
    aiohttp.RedirectClientError: _C.PROVIDER_ERROR,  # it sent us where nobody can go
    aiohttp.InvalidURL: _C.INTERNAL,
    aiohttp.NonHttpUrlClientError: _C.INTERNAL,
    aiohttp.http_exceptions.HttpProcessingError: _C.PROVIDER_ERROR,  # an answer that is no HTTP
    aiohttp.ClientResponseError: _http_status,
    aiohttp.ClientError: _C.NETWORK_ERROR,
    asyncio.CancelledError: _C.CLIENT_CLOSED,
    GeneratorExit: _C.CLIENT_CLOSED,
}


def _status(error: Any) -> int | None:
    """The HTTP status an exception carries, wherever its class keeps it."""
    for status in (
        getattr(error, "status_code", None),
        getattr(error, "status", None),
        getattr(getattr(error, "response", None), "status_code", None),
    ):
        if isinstance(status, int) and 100 <= status <= 599:
            return int(status)
    return None


def is_gone(error: BaseException) -> bool:
    """Whether the provider does not have what was asked of it, so that to ask again is pointless."""
    return any(
        _is_provider(cause) and _status(cause) in (404, 410) and not isinstance(cause, RouterRateLimitError)
        for cause in causes(error)
    )


def _said(error: Any) -> str:
    """What it says and the code that came with it, in small letters."""
    # Of aiohttp's errors `code` is the status, under a name that warns.
    code = "" if isinstance(error, aiohttp.ClientResponseError) else getattr(error, "code", "")
    return f"{text_of(error)} {code}".lower()


def _answered(error: BaseException) -> int | None:
    """The status the provider really answered with, which LiteLLM's classes may have changed."""
    answers = (
        cause
        for cause in causes(error)
        # LiteLLM's own with 200 is what it raises of an answer; with others it is often made up.
        if isinstance(cause, httpx.HTTPStatusError)
        or (isinstance(cause, BaseLLMException) and _status(cause) == 200)
    )
    return next(map(_status, answers), None)


def text_of(error: BaseException, most: int = MAX_TEXT) -> str:
    """What a foreign exception says, at most so many characters; "" where even that fails."""
    try:
        return str(error)[:most]
    except Exception:  # a foreign __str__ may fail in any way; then there are no markers
        return ""
