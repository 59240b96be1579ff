"""LiteLLM's custom_auth: the same decisions as at our edge, where a request did not come through it."""

import time
from typing import Any
from uuid import uuid4

import orjson
from litellm.proxy._types import UserAPIKeyAuth
from litellm.proxy.common_utils.http_parsing_utils import read_request_body, safe_set_request_parsed_body
from starlette.datastructures import QueryParams
from starlette.requests import Request

from scalix_callbacks.core.bodies import parse_body
from scalix_callbacks.core.call import CALL_IN_SCOPE, CURRENT_CALL, Call
from scalix_callbacks.core.caller import Caller
from scalix_callbacks.core.claims import read_claims, refuse_query_credentials
from scalix_callbacks.core.errors import GatewayError, invalid
from scalix_callbacks.core.routes import Access, find_route
from scalix_callbacks.proxy import runtime
from scalix_callbacks.proxy.errors import AuthRefusal
from scalix_callbacks.proxy.identity import to_litellm


async def authenticate(request: Request, api_key: str | None) -> UserAPIKeyAuth:
    """Who is calling, for LiteLLM.

    `api_key` is what LiteLLM found in one of several headers; it is ignored, for only ours count.

    Raises:
        AuthRefusal: any refusal, in our form.
    """
    call = request.scope.get(CALL_IN_SCOPE)
    if isinstance(call, Call) and call.caller is not None:
        return to_litellm(call.caller)
    call = Call(request_id=uuid4().hex, started_at_s=time.time())
    request.scope[CALL_IN_SCOPE] = call
    CURRENT_CALL.set(call)
    try:
        call.caller = await _decide(request, call)
    except GatewayError as error:
        raise AuthRefusal(error, call.request_id) from None
    return to_litellm(call.caller)


async def _decide(request: Request, call: Call) -> Caller:
    gateway = await runtime.running()
    route = find_route(request.url.path)
    refuse_query_credentials(request.query_params.multi_items())
    claims = read_claims(request.scope["headers"], route)
    call.client_request_id = claims.client_request_id
    call.cache_control = claims.cache_control
    caller = await gateway.identify(claims, request.client.host if request.client else None)
    gateway.check_access(caller, route, exists=lambda: True)
    if route is None or route.access is not Access.USER:
        return caller
    body = _bounded(await read_request_body(request)) if route.endpoint else {}
    if caller.is_operator:
        caller = await gateway.act_for(claims, body.get("user"))
    if route.endpoint is not None:
        screened = gateway.admit_body(caller, route.endpoint, body)
        screened = await gateway.with_context(call, caller, route, screened)
        call.caller = caller
        _replace_body(request, await runtime.meter().admit(call, route.endpoint, screened))
    return caller


def _bounded(body: dict[str, Any]) -> dict[str, Any]:
    """The body within the bounds that our edge sets; LiteLLM's own parser has none."""
    try:
        return parse_body(orjson.dumps(body))
    except TypeError:  # what is no text in UTF-8, such as half of a surrogate pair
        raise invalid("The request body is not valid JSON in UTF-8. Correct it.") from None


def _replace_body(request: Request, body: dict[str, Any]) -> None:
    """What every later reader of this request sees; LiteLLM's own `rewrite_request_model` does the same.

    The query goes: LiteLLM takes its fields for fields of the body, and `model` above the body's.
    """
    request.scope["query_string"] = b""
    request._query_params = QueryParams()
    safe_set_request_parsed_body(request, body)
    request._json = body
    request._body = orjson.dumps(body)
