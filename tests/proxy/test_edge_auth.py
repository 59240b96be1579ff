"""What LiteLLM is told of who calls, where our edge knows it already."""

from typing import Any

import pytest
from fastapi import Depends, FastAPI
from httpx import ASGITransport, AsyncClient
from litellm.proxy._types import UserAPIKeyAuth
from litellm.proxy.auth import user_api_key_auth as litellms
from starlette.types import ASGIApp, Receive, Scope, Send

from scalix_callbacks.core.call import CALL_IN_SCOPE, Call
from scalix_callbacks.core.caller import OPERATOR, Caller, Role
from scalix_callbacks.core.limits import Ask
from scalix_callbacks.proxy import edge_auth

ADA = Caller("ada", "free", Role.USER, key_hash="a" * 64)
ASK = Ask("c-1", "ada", (), 1, 1, None, {})


class Original:
    """Stands where LiteLLM's own authentication does."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    async def __call__(self, **asked: Any) -> UserAPIKeyAuth:
        self.asked.append(asked)
        return UserAPIKeyAuth(user_id="by LiteLLM")


@pytest.fixture
def original(monkeypatch: pytest.MonkeyPatch) -> Original:
    return Original()


async def asked_as(call: Call | None, original: Original, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What a route of LiteLLM's app learns of its caller."""
    app = FastAPI()

    @app.post("/v1/chat/completions")
    async def route(user: UserAPIKeyAuth = Depends(litellms.user_api_key_auth)) -> dict[str, Any]:  # noqa: B008
        return {"user_id": user.user_id, "route": user.request_route, "key": user.api_key}

    edge_auth.install(app)
    monkeypatch.setattr(litellms, "user_api_key_auth", original)

    async def edge(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, **({} if call is None else {CALL_IN_SCOPE: call})}, receive, send)

    transport: ASGIApp = edge
    async with AsyncClient(transport=ASGITransport(transport), base_url="http://gateway") as client:
        headers = {"authorization": "Bearer sk-1", "x-api-key": "sk-2"}
        return (await client.post("/v1/chat/completions", headers=headers)).json()


async def test_an_admitted_call_is_known(original: Original, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its account, with the hash of its key; LiteLLM looks nothing up."""
    told = await asked_as(Call("r-1", caller=ADA, ask=ASK), original, monkeypatch)

    assert {"user_id": "ada", "route": "/v1/chat/completions", "key": "a" * 64} == told
    assert [] == original.asked


@pytest.mark.parametrize(
    "call", [None, Call("r-1"), Call("r-1", caller=ADA), Call("r-1", caller=OPERATOR), Call("r-1", ask=ASK)]
)
async def test_anything_else_goes_litellms_own_way(
    call: Call | None, original: Original, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the credentials of its headers, as LiteLLM reads them."""
    told = await asked_as(call, original, monkeypatch)

    assert "by LiteLLM" == told["user_id"]
    (asked,) = original.asked
    assert ("Bearer sk-1", "sk-2") == (asked["api_key"], asked["anthropic_api_key_header"])
