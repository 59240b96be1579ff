"""The demo provider as an ASGI application."""

import time
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from scalix_callbacks.demo_provider.control import control_routes, json_response
from scalix_callbacks.demo_provider.directives import MODEL_SCRIPTS
from scalix_callbacks.demo_provider.errors import error_body
from scalix_callbacks.demo_provider.model_request import Endpoint
from scalix_callbacks.demo_provider.provider import Provider, read_headers

LISTED_MODELS = (*MODEL_SCRIPTS, "demo-fail-429", "demo-fail-503", "demo-embedding")

_PATHS = {
    "/v1/chat/completions": Endpoint.CHAT,
    "/v1/completions": Endpoint.COMPLETIONS,
    "/v1/embeddings": Endpoint.EMBEDDINGS,
    "/v1/responses": Endpoint.RESPONSES,
}


def create_app(expected_key: str | None = None) -> ASGIApp:
    """A demo provider with a tally and scripts of its own.

    Calls need an Authorization header; with `expected_key` it must be `Bearer <expected_key>`.
    """
    provider = Provider(expected_key)
    routes = [
        *(Route(path, _ModelCall(provider, endpoint), methods=["POST"]) for path, endpoint in _PATHS.items()),
        Route("/v1/models", partial(_models, provider), methods=["GET"]),
        *control_routes(provider),
    ]
    # A bare Router: Starlette's own middleware would wrap the send of every token.
    return Router(routes, redirect_slashes=False, default=_not_found)


class _ModelCall:
    """An endpoint as a bare ASGI application; Starlette wraps functions in a Request, but not objects."""

    def __init__(self, provider: Provider, endpoint: Endpoint) -> None:
        self._provider = provider
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._provider.answer(self._endpoint, scope, receive, send)


async def _models(provider: Provider, request: Request) -> Response:
    refusal = provider.refusal(read_headers(request.scope))
    if refusal is not None:
        return json_response(error_body(401, refusal), 401)
    created = int(time.time())
    about = {"object": "model", "created": created, "owned_by": "scalix-demo"}
    return json_response({"object": "list", "data": [{"id": model, **about} for model in LISTED_MODELS]})


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    response = json_response(error_body(404, "The demo provider has no such path."), 404)
    await response(scope, receive, send)
