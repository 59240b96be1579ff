"""Errors in OpenAI's form."""

from collections.abc import Mapping
from typing import Any

_TYPES = {
    401: ("invalid_request_error", "invalid_api_key"),
    402: ("insufficient_quota", "insufficient_quota"),
    403: ("permission_denied_error", None),
    404: ("invalid_request_error", "model_not_found"),
    408: ("timeout", None),
    429: ("rate_limit_error", "rate_limit_exceeded"),
}


class BadRequest(Exception):
    """A request the provider refuses with a 4xx; the message tells the caller what to change.

    With `failure` it is refused by that recorded body, and the message is the name of the model.
    """

    def __init__(
        self, message: str, *, param: str | None = None, status: int = 400, failure: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.status = status
        self.failure = failure


def error_body(status: int, message: str, *, param: str | None = None) -> Mapping[str, Any]:
    """`{"error": {"message", "type", "param", "code"}}` as OpenAI would send with `status`."""
    fallback = "server_error" if status >= 500 else "invalid_request_error"
    kind, code = _TYPES.get(status, (fallback, None))
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def scripted_error(status: int) -> Mapping[str, Any]:
    """The body of a failure whose script names no body of its own."""
    return error_body(status, f"The demo provider was told to fail with status {status}.")
