"""One call on its way through the gateway: what every later step may ask about it."""

from contextvars import ContextVar
from dataclasses import dataclass

from scalix_callbacks.core.caller import Caller
from scalix_callbacks.core.errors import GatewayError
from scalix_callbacks.core.routes import Endpoint


@dataclass(slots=True)
class Call:
    """Filled step by step; `caller` is None until the request is authenticated.

    Attributes:
        request_id: ours, in the `x-scalix-request-id` of the answer. Never the client's.
        failure: how LiteLLM's call ended, in our terms; None: it did not fail, or not yet.
    """

    request_id: str
    client_request_id: str | None = None
    caller: Caller | None = None
    endpoint: Endpoint | None = None
    model: str | None = None
    failure: GatewayError | None = None


CALL_IN_SCOPE = "scalix.call"
"""Where the edge leaves the authenticated Call in the ASGI scope. No request can write there."""

CURRENT_CALL: ContextVar[Call | None] = ContextVar("scalix_call", default=None)
"""The call this task works for; None outside of one."""


def current_request_id() -> str | None:
    call = CURRENT_CALL.get()
    return call.request_id if call else None
