"""LiteLLM's authentication of a call that our edge has admitted: it is known already who calls.

LiteLLM's own asks our `auth.authenticate`, too, but looks up a dozen headers, settings and limits of its own
keys around it: a tenth of what a call costs. FastAPI lets a dependency be overridden for this.
"""

import inspect
from typing import Any

from fastapi import FastAPI
from litellm.proxy._types import UserAPIKeyAuth
from litellm.proxy.auth import user_api_key_auth as litellms
from litellm.proxy.auth.auth_utils import get_request_route, normalize_request_route
from starlette.requests import Request

from scalix_callbacks.core.call import CALL_IN_SCOPE, Call
from scalix_callbacks.proxy.identity import to_litellm

_headers: dict[str, Any] = {
    name: parameter.default.dependency
    for name, parameter in inspect.signature(litellms.user_api_key_auth).parameters.items()
    if name != "request"
}


def install(app: FastAPI) -> None:
    """For every route of LiteLLM's app."""
    app.dependency_overrides[litellms.user_api_key_auth] = authenticated


async def authenticated(request: Request) -> UserAPIKeyAuth:
    """Who is calling. Anything but an admitted call goes LiteLLM's own way, and so through `authenticate`."""
    call = request.scope.get(CALL_IN_SCOPE)
    if not isinstance(call, Call) or call.caller is None or call.ask is None:
        credentials = {name: await header(request) for name, header in _headers.items()}
        return await litellms.user_api_key_auth(request=request, **credentials)
    litellms._ensure_parent_otel_span_on_request_state(request)
    user = to_litellm(call.caller)
    user.authenticated_by_custom_auth = True
    user.request_route = normalize_request_route(get_request_route(request))
    return user
