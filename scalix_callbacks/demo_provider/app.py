"""The demo provider as an ASGI application."""

import time
from collections.abc import Iterator
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from scalix_callbacks.demo_provider.control import control_routes, json_response
from scalix_callbacks.demo_provider.dialects import DIALECTS, PLAIN
from scalix_callbacks.demo_provider.dialects.dialect import Dialect
from scalix_callbacks.demo_provider.directives import MODEL_SCRIPTS
from scalix_callbacks.demo_provider.errors import error_body
from scalix_callbacks.demo_provider.provider import Provider, read_headers

LISTED_MODELS = (*MODEL_SCRIPTS, "demo-fail-429", "demo-fail-503", "demo-embedding")


def create_app(expected_key: str | None = None) -> ASGIApp:
    """A demo provider with a tally and scripts of its own.

    At the root it speaks OpenAI's format and forgives much; each provider's own format is under its name,
    such as `/anthropic/v1/messages`, and also at the root where its path is unlike all others. Calls need a
    key where that provider asks for one; with `expected_key` it must be that.
    """
    provider = Provider(expected_key)
    routes = [
        *(
            Route(path, _ModelCall(provider, dialect), methods=["POST"])
            for dialect in (*PLAIN, *DIALECTS)
            for path in _paths(dialect)
        ),
        Route("/v1/models", partial(_models, provider), methods=["GET"]),
        *control_routes(provider),
    ]
    # A bare Router: Starlette's own middleware would wrap the send of every token.
    return Router(routes, redirect_slashes=False, default=_not_found)


def _paths(dialect: Dialect) -> Iterator[str]:
    if dialect.is_at_root:
        yield from dialect.paths
    if dialect.name:
        yield from (f"/{dialect.name}{path}" for path in dialect.paths)


class _ModelCall:
    """An endpoint as a bare ASGI application; Starlette wraps functions in a Request, but not objects."""

    def __init__(self, provider: Provider, dialect: Dialect) -> None:
        self._provider = provider
        self._dialect = dialect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._provider.answer(self._dialect, scope, receive, send)


async def _models(provider: Provider, request: Request) -> Response:
    plain = PLAIN[0]
    refusal = provider.refusal(plain, read_headers(request.scope), {})
    if refusal is not None:
        told = plain.recorded.refusal(refusal)
        return json_response(told.body, told.status)
    created = int(time.time())
    about = {"object": "model", "created": created, "owned_by": "scalix-demo"}
    return json_response({"object": "list", "data": [{"id": model, **about} for model in LISTED_MODELS]})


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    response = json_response(error_body(404, "The demo provider has no such path."), 404)
    await response(scope, receive, send)
