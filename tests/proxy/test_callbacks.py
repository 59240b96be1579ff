"""What the hooks make of an answer that is none, and of a failure LiteLLM tells by itself."""

import asyncio
from types import SimpleNamespace

import litellm
import openai
import pytest
from litellm.exceptions import LiteLLMUnknownProvider
from litellm.proxy._types import UserAPIKeyAuth

from scalix_callbacks.core.call import CURRENT_CALL, Call
from scalix_callbacks.core.catalogue import Catalogue
from scalix_callbacks.core.errors import ErrorCategory
from scalix_callbacks.core.routes import Endpoint
from scalix_callbacks.proxy.callbacks import ScalixCallbacks
from scalix_callbacks.proxy.categories import category_of
from scalix_callbacks.proxy.errors import ScalixProxyError

USER = UserAPIKeyAuth(api_key="0" * 64)


@pytest.fixture
def hooks():
    return ScalixCallbacks(Catalogue(()))


@pytest.fixture
def call():
    call = Call(request_id="r1")
    token = CURRENT_CALL.set(call)
    yield call
    CURRENT_CALL.reset(token)


def provider_error() -> litellm.AuthenticationError:
    return litellm.AuthenticationError("the provider's words", llm_provider="openai", model="m")


async def test_the_failure_is_left_for_the_edge(hooks, call):
    """Some endpoints of LiteLLM ignore what this hook returns."""
    await hooks.async_post_call_failure_hook({}, provider_error(), USER)

    assert call.failure is not None
    assert ErrorCategory.PROVIDER_AUTH is call.failure.category


async def test_the_providers_words_are_taken_out_of_the_exception(hooks, call):
    """Those endpoints render it themselves where there is no edge."""
    error = provider_error()
    await hooks.async_post_call_failure_hook({}, error, USER)

    assert "the provider's words" not in f"{error} {error.message} {error.args}"
    assert 502 == error.status_code


@pytest.mark.parametrize(
    ("raise_", "category"),
    [
        (lambda: litellm.NotFoundError("no", "m", "gemini"), ErrorCategory.MODEL_UNAVAILABLE),
        (lambda: LiteLLMUnknownProvider("m", "x"), ErrorCategory.INVALID_REQUEST),
    ],
)
async def test_a_chat_model_makes_no_embeddings(hooks, call, raise_, category):
    """It is there and may be used: that it is unknown is not what its user should read."""
    call.endpoint = Endpoint.EMBEDDINGS
    await hooks.async_post_call_failure_hook({}, raise_(), USER)
    told = call.failure
    call.endpoint = Endpoint.CHAT
    await hooks.async_post_call_failure_hook({}, raise_(), USER)

    assert (category, "model", False) == (told.category, told.param, told.is_retryable)
    assert "embeddings" in told.message
    assert "embeddings" not in call.failure.message


@pytest.mark.parametrize(
    ("response", "category"),
    [
        (None, ErrorCategory.INVALID_REQUEST),
        (SimpleNamespace(error={"message": "the provider's words"}), ErrorCategory.PROVIDER_ERROR),
    ],
)
async def test_an_answer_that_is_none_is_a_failure(hooks, call, response, category):
    """A provider's second 422 ends as None, an error under status 200 as an answer with `error`."""
    with pytest.raises(ScalixProxyError) as caught:
        await hooks.async_post_call_success_hook({}, USER, response)

    assert category is caught.value.error.category
    assert "words" not in str(caught.value)


async def test_an_answer_is_passed_on(hooks, call):
    """Untouched."""
    answer = litellm.ModelResponse()

    assert answer is await hooks.async_post_call_success_hook({}, USER, answer)


async def test_a_stream_that_litellm_made_of_none_is_a_providers_failure(hooks, call):
    """Not a failure of ours."""

    async def nothing():
        yield None.__aiter__

    chunks = [chunk async for chunk in hooks.async_post_call_streaming_iterator_hook(USER, nothing(), {})]

    assert b'"PROVIDER_ERROR"' in chunks[0]


async def test_a_fast_stream_lets_others_have_their_turn(hooks, call):
    """Also one whose next chunk is always there; and it ends when it is cancelled, as by a hang-up."""
    taken = 0

    async def at_once():
        while True:
            yield litellm.ModelResponseStream()

    async def read():
        nonlocal taken
        async for _ in hooks.async_post_call_streaming_iterator_hook(USER, at_once(), {}):
            taken += 1
            assert taken < 1_000

    reading = asyncio.create_task(read())
    await asyncio.sleep(0)
    seen = taken
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading

    assert 0 < seen <= taken < 100


def test_an_error_told_within_a_stream_is_the_providers():
    """LiteLLM wraps it into the exception of a broken connection."""
    error = litellm.APIConnectionError("x", llm_provider="openai", model="m")
    error.__cause__ = openai.APIError("x", request=None, body=None)  # type: ignore[arg-type]  # it holds none

    assert ErrorCategory.PROVIDER_ERROR is category_of(error)
