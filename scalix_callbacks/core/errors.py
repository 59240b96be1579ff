"""Everything that can go wrong, as one closed table with one rendering.

    GatewayError            a refusal or failure, told to the caller
      category              which row of the table (ErrorCategory)
      message, param, …     what this one adds to its row

Status, code, title and actions live in `TABLE` alone; `render` makes the only error body there is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import ceil
from typing import Any


class ErrorCategory(StrEnum):
    """What went wrong. The value is the `code` clients see, a metric label and a ledger field."""

    INVALID_API_KEY = "INVALID_API_KEY"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    ACCOUNT_SUSPENDED = "ACCOUNT_SUSPENDED"
    MODEL_NOT_IN_TIER = "MODEL_NOT_IN_TIER"
    MODEL_NOT_FOUND = "MODEL_NOT_FOUND"
    NOT_FOUND = "NOT_FOUND"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    INVALID_REQUEST = "INVALID_REQUEST"
    REQUEST_TOO_LARGE = "REQUEST_TOO_LARGE"
    PROMPT_TOO_LARGE = "PROMPT_TOO_LARGE"
    CONTEXT_WINDOW_EXCEEDED = "CONTEXT_WINDOW_EXCEEDED"
    CONTENT_POLICY = "CONTENT_POLICY"
    RATE_LIMIT_EXCEEDED = "RATE_LIMIT_EXCEEDED"
    BUDGET_EXCEEDED = "BUDGET_EXCEEDED"
    CONFLICT = "CONFLICT"
    MODEL_UNAVAILABLE = "MODEL_UNAVAILABLE"
    PROVIDER_RATE_LIMITED = "PROVIDER_RATE_LIMITED"
    PROVIDER_AUTH = "PROVIDER_AUTH"
    PROVIDER_ERROR = "PROVIDER_ERROR"
    PROVIDER_TIMEOUT = "PROVIDER_TIMEOUT"
    NETWORK_ERROR = "NETWORK_ERROR"
    OVERLOADED = "OVERLOADED"
    SERVICE_UNAVAILABLE = "SERVICE_UNAVAILABLE"
    CLIENT_CLOSED = "CLIENT_CLOSED"
    INTERNAL = "INTERNAL"


OF_MODELS = frozenset(
    {
        ErrorCategory.MODEL_UNAVAILABLE,
        ErrorCategory.PROVIDER_RATE_LIMITED,
        ErrorCategory.PROVIDER_AUTH,
        ErrorCategory.PROVIDER_ERROR,
        ErrorCategory.PROVIDER_TIMEOUT,
        ErrorCategory.NETWORK_ERROR,
    }
)
"""The failures that a model is held responsible for; of the others any model would have had the same."""


class Action(StrEnum):
    """What the app can offer its user to do next; each is a button in its error box."""

    RETRY = "retry"
    UPGRADE = "upgrade"
    USAGE = "usage"
    OFFLINE = "offline"
    ALTERNATIVE = "alternative"
    SETTINGS = "settings"


_ACTION_LABELS = {
    Action.RETRY: "Try again",
    Action.UPGRADE: "Upgrade",
    Action.USAGE: "See usage",
    Action.OFFLINE: "Work offline",
    Action.ALTERNATIVE: "Choose another model",
    Action.SETTINGS: "Open settings",
}


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """One row of the table: what every error of a category has in common.

    `type` is OpenAI's word for it. `retryable`: the same request may succeed later, unchanged. Clients
    that read the status alone (the app) retry 408, 409, 429 and 5xx all the same.
    `may_fall_back`: another model may be tried for it.
    """

    status: int
    type: str
    retryable: bool
    may_fall_back: bool
    title: str
    message: str
    actions: tuple[Action, ...]


_R, _U, _S, _A, _O, _G = (
    Action.RETRY,
    Action.USAGE,
    Action.SETTINGS,
    Action.ALTERNATIVE,
    Action.OFFLINE,
    Action.UPGRADE,
)
_BAD, _API = "invalid_request_error", "api_error"

TABLE: Mapping[ErrorCategory, ErrorKind] = {
    # The app looks for the words "LiteLLM Virtual Key expected".
    ErrorCategory.INVALID_API_KEY: ErrorKind(
        401,
        "authentication_error",
        False,
        False,
        "Invalid API key",
        "LiteLLM Virtual Key expected: this Scalix key is missing, unknown, expired or revoked."
        " Check the key in Settings.",
        (_S,),
    ),
    ErrorCategory.PERMISSION_DENIED: ErrorKind(
        403,
        "permission_error",
        False,
        False,
        "Not allowed",
        "This address is for the operator of this gateway, and this key is a user's. Use the operator's key"
        " for it, or check the address in Settings.",
        (_S,),
    ),
    ErrorCategory.ACCOUNT_SUSPENDED: ErrorKind(
        403,
        "permission_error",
        False,
        False,
        "Account suspended",
        "This account is suspended. Contact support to reactivate it.",
        (_S,),
    ),
    ErrorCategory.MODEL_NOT_IN_TIER: ErrorKind(
        403,
        "permission_error",
        False,
        False,
        "Model not in your plan",
        "This model is not part of your plan. Choose another model or upgrade.",
        (_G, _A),
    ),
    ErrorCategory.MODEL_NOT_FOUND: ErrorKind(
        404,
        _BAD,
        False,
        False,
        "Unknown model",
        "There is no model of this name here. Choose another one; `GET /v1/models` lists those you may use.",
        (_A,),
    ),
    ErrorCategory.NOT_FOUND: ErrorKind(
        404,
        _BAD,
        False,
        False,
        "Not found",
        "There is nothing at this address. Check the server's address in Settings, or the request's path.",
        (_S,),
    ),
    ErrorCategory.METHOD_NOT_ALLOWED: ErrorKind(
        405,
        _BAD,
        False,
        False,
        "Method not allowed",
        "This address does not take this HTTP method. Use one that the Allow header names, or check the"
        " server's address in Settings.",
        (_S,),
    ),
    ErrorCategory.INVALID_REQUEST: ErrorKind(
        400,
        _BAD,
        False,
        False,
        "Invalid request",
        "Something in this request is not accepted. Correct it and send it again, or choose another model.",
        (_S, _A),
    ),
    ErrorCategory.REQUEST_TOO_LARGE: ErrorKind(
        413,
        _BAD,
        False,
        False,
        "Request too large",
        "The request body is too large. Send fewer or smaller files.",
        (_S,),
    ),
    ErrorCategory.PROMPT_TOO_LARGE: ErrorKind(
        413,
        _BAD,
        False,
        False,
        "Prompt too large",
        "The prompt is larger than your whole token limit. Shorten it or upgrade.",
        (_G, _U),
    ),
    ErrorCategory.CONTEXT_WINDOW_EXCEEDED: ErrorKind(
        400,
        _BAD,
        False,
        True,
        "Conversation too long",
        "The conversation is longer than this model can read. Shorten it, start a new one or choose a model"
        " with a larger context.",
        (_A,),
    ),
    ErrorCategory.CONTENT_POLICY: ErrorKind(
        400,
        _BAD,
        False,
        True,
        "Declined by the provider",
        "The model's provider declined this content. Rephrase the request or choose another model.",
        (_A,),
    ),
    ErrorCategory.RATE_LIMIT_EXCEEDED: ErrorKind(
        429,
        "rate_limit_error",
        True,
        False,
        "Rate limit exceeded",
        "Rate limit exceeded. Wait until the limit resets.",
        (_G, _U, _R),
    ),
    # The app looks for the words "ExceededBudget:".
    ErrorCategory.BUDGET_EXCEEDED: ErrorKind(
        402,
        "insufficient_quota",
        False,
        False,
        "Budget used up",
        "ExceededBudget: the budget of this account is used up. Raise it or wait until it resets.",
        (_G, _U, _S),
    ),
    ErrorCategory.CONFLICT: ErrorKind(
        409,
        _BAD,
        False,
        False,
        "Conflict",
        "This request contradicts another one of yours. Look at what the other one did, then try again.",
        (_R,),
    ),
    ErrorCategory.MODEL_UNAVAILABLE: ErrorKind(
        503,
        _API,
        True,
        True,
        "Model unavailable",
        "This model is not available right now. Choose another model or try again later.",
        (_A, _R),
    ),
    ErrorCategory.PROVIDER_RATE_LIMITED: ErrorKind(
        503,
        _API,
        True,
        True,
        "Provider busy",
        "The model's provider is over its capacity. Try again in a moment or choose another model.",
        (_R, _A),
    ),
    ErrorCategory.PROVIDER_AUTH: ErrorKind(
        502,
        _API,
        False,
        True,
        "Provider refused the gateway",
        "The model's provider refused this gateway's own credentials; your key is fine. Choose another model,"
        " and tell the operator of this gateway to renew them.",
        (_A,),
    ),
    ErrorCategory.PROVIDER_ERROR: ErrorKind(
        502,
        _API,
        True,
        True,
        "Provider error",
        "The model's provider failed. Try again or choose another model.",
        (_R, _A),
    ),
    ErrorCategory.PROVIDER_TIMEOUT: ErrorKind(
        504,
        _API,
        True,
        True,
        "Provider timeout",
        "The model's provider took too long to answer. Try again or choose another model.",
        (_R, _A),
    ),
    ErrorCategory.NETWORK_ERROR: ErrorKind(
        502,
        _API,
        True,
        True,
        "Network error",
        "The connection to the model's provider failed. Try again in a moment or choose another model.",
        (_R, _A, _O),
    ),
    ErrorCategory.OVERLOADED: ErrorKind(
        503,
        _API,
        True,
        False,
        "Too busy",
        "The gateway has too much to do right now. Try again in a moment.",
        (_R, _G),
    ),
    ErrorCategory.SERVICE_UNAVAILABLE: ErrorKind(
        503,
        _API,
        True,
        False,
        "Service unavailable",
        "The gateway cannot serve this right now. Try again in a moment.",
        (_R, _O),
    ),
    # Nobody reads this one: the status other proxies log when the client has gone.
    ErrorCategory.CLIENT_CLOSED: ErrorKind(
        499,
        _API,
        True,
        False,
        "Connection closed",
        "The client closed the connection before the answer.",
        (_R,),
    ),
    ErrorCategory.INTERNAL: ErrorKind(
        500,
        _API,
        True,
        False,
        "Something went wrong",
        "Something went wrong inside the gateway. Try again; if it stays, report this to its operator.",
        (_R,),
    ),
}

POINTLESS_WAIT_S = 60.0
"""Above this, automatic retries are told not to wait (`x-should-retry: false`)."""


class GatewayError(Exception):
    """A refusal or failure as the caller sees it.

    Args:
        category: the row of `TABLE`.
        message: replaces the row's sentence; for people, with the next step in it, and without any
            key, prompt or provider address.
        param: the request field at fault, as the client wrote it.
        is_retryable: instead of the row's `retryable`, where this one differs; None: as the row says.
        retry_after_s: seconds until the same request would be admitted; None: not known.
        upgrade_url: where the `upgrade` action leads; without it that action is left out.
        limit: the limit that refused, in the form of spec D3.
        headers: further response headers.
    """

    def __init__(
        self,
        category: ErrorCategory,
        message: str | None = None,
        *,
        param: str | None = None,
        is_retryable: bool | None = None,
        retry_after_s: float | None = None,
        upgrade_url: str | None = None,
        limit: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.category = category
        self.kind = TABLE[category]
        self.message = message or self.kind.message
        self.param = param
        self.is_retryable = self.kind.retryable if is_retryable is None else is_retryable
        self.retry_after_s = retry_after_s
        self.upgrade_url = upgrade_url
        self.limit = limit
        self.headers = dict(headers or {})
        super().__init__(self.message)

    @property
    def status(self) -> int:
        return self.kind.status


def invalid(message: str, param: str | None = None) -> GatewayError:
    """An `INVALID_REQUEST` that names the field and the mend."""
    return GatewayError(ErrorCategory.INVALID_REQUEST, message, param=param)


def render(error: GatewayError, request_id: str | None) -> dict[str, Any]:
    """The inside of `{"error": …}`, the only form an error has (spec D3).

    `retry_after_s` is in whole seconds, rounded up; None where waiting is not the answer.
    """
    body: dict[str, Any] = {
        "message": _message(error, request_id),
        "title": error.kind.title,
        "type": error.kind.type,
        "param": error.param,
        "code": error.category.value,
        "category": error.category.value,
        "retryable": error.is_retryable,
        "retry_after_s": None if error.retry_after_s is None else ceil(error.retry_after_s),
        "request_id": request_id,
        "actions": [_action(action, error) for action in error.kind.actions if _is_offered(action, error)],
    }
    if error.limit is not None:
        body["limit"] = dict(error.limit)
    return body


def response_headers(error: GatewayError) -> dict[str, str]:
    """Headers that go with the error's status: when to come back, and whether to."""
    headers = dict(error.headers)
    if error.retry_after_s is not None:
        headers["retry-after"] = str(ceil(error.retry_after_s))
        headers["retry-after-ms"] = str(ceil(error.retry_after_s * 1000))
    if not error.is_retryable or (error.retry_after_s or 0) > POINTLESS_WAIT_S:
        headers["x-should-retry"] = "false"
    return headers


def _message(error: GatewayError, request_id: str | None) -> str:
    """With the request id where the next step is to report it: the app shows its user nothing but this."""
    if error.category is not ErrorCategory.INTERNAL or request_id is None or request_id in error.message:
        return error.message
    return f"{error.message} Request id: `{request_id}`."


def _is_offered(action: Action, error: GatewayError) -> bool:
    match action:
        case Action.UPGRADE:
            return error.upgrade_url is not None
        case Action.RETRY:
            return error.is_retryable or not error.kind.retryable
        case _:
            return True


def _action(action: Action, error: GatewayError) -> dict[str, str]:
    shown = {"label": _ACTION_LABELS[action], "action": action.value}
    if action is Action.UPGRADE and error.upgrade_url is not None:
        shown["url"] = error.upgrade_url
    return shown
