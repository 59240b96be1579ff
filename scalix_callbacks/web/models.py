"""`GET /v1/models`: what this caller may use, in OpenAI's form."""

from typing import Any

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from scalix_callbacks.core.errors import ErrorCategory, GatewayError
from scalix_callbacks.core.routes import model_id
from scalix_callbacks.gateway import Gateway
from scalix_callbacks.web.own_routes import caller_of


def list_models(gateway: Gateway) -> ASGIApp:
    """All of them; a pattern such as `anthropic/*` stands for every name it matches."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        entries = [_entry(name) for name in gateway.listed_models(caller_of(scope))]
        await JSONResponse({"object": "list", "data": entries})(scope, receive, send)

    return app


def one_model(gateway: Gateway) -> ASGIApp:
    """One of them, or a name that one of its patterns matches; else refused as a call of it would be."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        name, caller = model_id(scope["path"]), caller_of(scope)
        if name not in gateway.listed_models(caller):
            gateway.check_model(caller, name)
            if not gateway.has_model(name):
                raise GatewayError(ErrorCategory.MODEL_NOT_FOUND, param="model")
        await JSONResponse(_entry(name))(scope, receive, send)

    return app


def _entry(name: str) -> dict[str, Any]:
    # `created` is required by OpenAI's clients, and nothing is known of it.
    return {"id": name, "object": "model", "created": 0, "owned_by": "scalix"}
