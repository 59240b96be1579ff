"""A failed call whose answer LiteLLM wrote itself leaves with our words and status."""

import orjson
import pytest

from scalix_callbacks.core.call import Call
from scalix_callbacks.core.errors import ErrorCategory, GatewayError
from scalix_callbacks.core.routes import Endpoint
from scalix_callbacks.web.answer import Answer

RAW = b'{"type": "error", "error": {"message": "litellm.AuthenticationError: the provider\'s words"}}'


async def answered(call: Call, status: int) -> tuple[int, dict]:
    sent = []

    async def send(message):
        sent.append(message)

    answer = Answer(send, call)
    answer.is_litellms = True
    await answer({"type": "http.response.start", "status": status, "headers": []})
    await answer({"type": "http.response.body", "body": RAW})
    return sent[0]["status"], orjson.loads(b"".join(message.get("body", b"") for message in sent))


@pytest.mark.parametrize("status", [300, 401, 500])
async def test_the_known_failure_is_told(status):
    """Whatever status LiteLLM made of it."""
    failure = GatewayError(ErrorCategory.PROVIDER_AUTH)
    call = Call(request_id="r1", endpoint=Endpoint.MESSAGES, failure=failure)

    shown, body = await answered(call, status)

    assert (502, "PROVIDER_AUTH") == (shown, body["error"]["code"])


async def test_a_redirect_in_the_place_of_a_models_answer_is_an_error():
    """A provider's 300 comes back as LiteLLM's own 300, with the provider's words in it."""
    shown, body = await answered(Call(request_id="r1", endpoint=Endpoint.COMPLETIONS), 300)

    assert (502, "PROVIDER_ERROR") == (shown, body["error"]["code"])


async def test_a_redirect_of_another_route_is_left_alone():
    """LiteLLM's own pages redirect."""
    shown, _ = await answered(Call(request_id="r1"), 307)

    assert 307 == shown
