"""Each time a provider is asked."""

from typing import Any

import litellm
import pytest
from litellm.proxy import proxy_server

from scalix_callbacks.core.call import CURRENT_CALL, Call
from scalix_callbacks.core.catalogue import Catalogue
from scalix_callbacks.core.errors import ErrorCategory
from scalix_callbacks.core.simulation import Simulation
from scalix_callbacks.core.trace import Step, Trace
from scalix_callbacks.proxy import tries
from scalix_callbacks.proxy.callbacks import ScalixCallbacks
from scalix_callbacks.proxy.errors import categorise
from scalix_callbacks.proxy.served import Served

KWARGS: dict[str, Any] = {
    "model": "openai/demo",
    "api_base": "http://secret.example/v1",
    "metadata": {"model_group": "free-flash"},
    "messages": [{"role": "user", "content": "PROMPT"}],
}


@pytest.fixture
def call():
    call = Call(request_id="r1", trace=Trace(lambda: 0.0))
    token = CURRENT_CALL.set(call)
    yield call
    CURRENT_CALL.reset(token)


def noted(call: Call) -> list[tuple[Step, Any]]:
    assert call.trace is not None
    return [(step, about) for _, step, about in call.trace.steps[1:]]


async def test_a_provider_is_noted_by_its_models_names(call: Call) -> None:
    """Not by its address; of a failure the kind and the status, not the words."""
    hooks = ScalixCallbacks(Catalogue(()))
    error = litellm.RateLimitError(message="WORDS", llm_provider="openai", model="demo")
    await hooks.async_pre_call_deployment_hook(dict(KWARGS), None)
    await hooks.async_post_call_failure_deployment_hook(KWARGS, error, None)

    names = {"model": "free-flash", "deployment": "openai/demo"}
    assert [
        (Step.SENT, names),
        (Step.FAILED, {**names, "category": "PROVIDER_RATE_LIMITED", "status": 429}),
    ] == noted(call)


@pytest.mark.parametrize(
    ("kind", "category"),
    [
        (Simulation.NETWORK, ErrorCategory.NETWORK_ERROR),
        (Simulation.RATE_LIMIT, ErrorCategory.PROVIDER_RATE_LIMITED),
        (Simulation.SERVER, ErrorCategory.PROVIDER_ERROR),
    ],
)
async def test_a_simulated_failure_is_one_of_the_providers(
    call: Call, kind: Simulation, category: ErrorCategory
) -> None:
    """Raised where the provider would be asked, and in its stead."""
    call.simulated = kind
    with pytest.raises(Exception) as failure:
        await ScalixCallbacks(Catalogue(())).async_pre_call_deployment_hook(dict(KWARGS), None)

    assert category is categorise(failure.value)
    assert [Step.SENT, Step.FAILED] == [step for step, _ in noted(call)]


async def test_litellm_asking_through_itself_is_one_try(call: Call) -> None:
    """It makes a chat of a message, with hooks around both; again is when the first has failed."""
    hooks = ScalixCallbacks(Catalogue(()))
    error = litellm.InternalServerError(message="WORDS", llm_provider="openai", model="demo")
    for _ in range(2):
        for _ in range(2):
            await hooks.async_pre_call_deployment_hook(asked_of("1"), None)
        for _ in range(2):
            await hooks.async_post_call_failure_deployment_hook(asked_of("1"), error, None)

    assert [Step.SENT, Step.FAILED] * 2 == [step for step, _ in noted(call)]


def asked_of(deployment_id: str, model: str = "free-flash") -> dict[str, Any]:
    return {**KWARGS, "model_info": {"id": deployment_id}, "metadata": {"model_group": model}}


@pytest.fixture
def router(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = [
        {"model_name": name, "litellm_params": {"model": model, "api_key": "k"}, "model_info": {"id": number}}
        for number, name, model in (
            ("1", "gpt-4", "openai/gpt-4.1"),
            ("2", "claude-3-opus", "anthropic/claude-opus-4-6"),
            ("3", "gemini/*", "gemini/*"),
        )
    ]
    monkeypatch.setattr(proxy_server, "llm_router", litellm.Router(model_list=listed))


@pytest.mark.usefixtures("router")
def test_who_failed_a_call_is_whose_failure_is_told(call: Call) -> None:
    """LiteLLM tells one of all along a chain; where it is none of them, the last who failed."""
    for number, model, kind in (
        ("1", "gpt-4", litellm.RateLimitError),
        ("2", "claude-3-opus", litellm.InternalServerError),
        ("3", "gemini/new", litellm.AuthenticationError),
    ):
        tries.sent(call, asked_of(number, model))
        tries.failed(call, kind(message="WORDS", llm_provider="x", model="y"))

    assert Served("gpt-4", "openai") == tries.blamed(call, ErrorCategory.PROVIDER_RATE_LIMITED)
    assert Served("claude-3-opus", "anthropic") == tries.blamed(call, ErrorCategory.PROVIDER_ERROR)
    assert Served("gemini/new", "gemini") == tries.blamed(call, ErrorCategory.PROVIDER_AUTH)
    assert Served("gemini/new", "gemini") == tries.blamed(call, ErrorCategory.INTERNAL)


@pytest.mark.usefixtures("router")
def test_who_was_not_asked_or_did_not_fail_is_not_blamed(call: Call) -> None:
    """A request that LiteLLM cannot translate, a failure that is only simulated, a call that was answered."""

    def transform_request() -> None:
        raise ValueError("what is this")

    assert tries.blamed(call, ErrorCategory.MODEL_UNAVAILABLE) is None
    tries.sent(call, asked_of("1"))
    try:
        transform_request()
    except ValueError as error:
        tries.failed(call, error)
    tries.sent(call, asked_of("2"))
    assert tries.blamed(call, ErrorCategory.INTERNAL) is None
    call.tries.clear()
    call.simulated = Simulation.NETWORK
    with pytest.raises(litellm.APIConnectionError):
        tries.sent(call, asked_of("1"))

    assert tries.blamed(call, ErrorCategory.NETWORK_ERROR) is None


async def test_nothing_is_noted_where_nobody_keeps_it(call: Call) -> None:
    """Nor outside of a call of ours."""
    hooks = ScalixCallbacks(Catalogue(()))
    call.trace = None
    await hooks.async_pre_call_deployment_hook(dict(KWARGS), None)
    await hooks.async_post_call_failure_deployment_hook(KWARGS, ValueError("x"), None)
    CURRENT_CALL.set(None)
    await hooks.async_post_call_failure_deployment_hook(KWARGS, ValueError("x"), None)

    assert await hooks.async_pre_call_deployment_hook(dict(KWARGS), None) is None
