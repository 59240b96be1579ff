"""By which failures a model's only deployment rests (spec E3): alike in every form and of every provider."""

import asyncio
from collections.abc import AsyncIterator
from itertools import product
from typing import Any

import litellm
import pytest
from litellm.integrations.custom_logger import CustomLogger
from litellm.litellm_core_utils.litellm_logging import Logging
from litellm.responses.streaming_iterator import BaseResponsesAPIStreamingIterator
from litellm.router import Router
from litellm.router_utils import cooldown_handlers, fallback_event_handlers

from scalix_callbacks.core.call import CURRENT_CALL, Call
from scalix_callbacks.core.simulation import Simulation
from scalix_callbacks.demo_provider.testing import DemoProviderServer
from scalix_callbacks.proxy import tries
from scalix_callbacks.proxy.repairs import counted_failures, garbage, success_log
from tests.proxy.forms import FORMS, MODELS, asked, mend, open_router

pytestmark = [
    # LiteLLM's own.
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
CALLS = 3
RETRIES = 1
FAILURES: dict[str, dict[str, Any]] = {
    "status 500": {"status": 500},
    "garbage": {"garbage": True},
    "cut": {"cut_after_tokens": 0},
}
NOT_COUNTED = {("garbage", "gemini", form, False) for form in FORMS} | {
    ("garbage", "gemini", "messages", True),
    ("cut", "anthropic", "messages", True),
}
"""LiteLLM tells the first as a 422, which is nobody's failure; the others it takes for successes, too."""
CASES = [
    case
    for case in product(FAILURES, ("openai", "anthropic", "gemini"), FORMS, (False, True))
    if case not in NOT_COUNTED
]


class _Hooks(CustomLogger):
    """Ours, of which a try is told."""

    async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: Any) -> None:
        if (call := CURRENT_CALL.get()) is not None:
            tries.sent(call, kwargs)


@pytest.fixture
async def router(provider: DemoProviderServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Router]:
    """It rests a deployment by the third call, without pauses between tries."""
    provider.reset()
    monkeypatch.setattr(cooldown_handlers, "SINGLE_DEPLOYMENT_TRAFFIC_FAILURE_THRESHOLD", CALLS)
    monkeypatch.setattr(Router, "_time_to_sleep_before_retry", lambda *args, **kwargs: 0)
    for owner, name in (
        (Logging, "dispatch_failure_handlers"),
        (Logging, "async_success_handler"),
        (BaseResponsesAPIStreamingIterator, "_handle_failure"),
        (Router, "deployment_callback_on_failure"),
        (fallback_event_handlers, "_trigger_cooldown_for_failed_deployment"),
        (litellm, "should_retry"),
    ):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    for name in ("callbacks", "failure_callback", "_async_success_callback"):
        monkeypatch.setattr(litellm, name, [])
    litellm.callbacks.append(_Hooks())
    mend(monkeypatch)
    for repair in (garbage, counted_failures, success_log):
        repair.install()
    async with open_router(provider, monkeypatch, num_retries=RETRIES, rests=True) as router:
        yield router


async def ask(
    router: Router, form: str, model: str, stream: bool, *, simulated: Simulation | None = None
) -> str:
    """One call of a client."""
    token = CURRENT_CALL.set(Call("r-1", simulated=simulated))
    try:
        return await asked(router, form, model, stream=stream)
    finally:
        CURRENT_CALL.reset(token)


def failures(router: Router, model: str) -> int:
    """As LiteLLM has counted them; it counts no success beside them."""
    (deployment,) = router.get_model_ids(model)
    about = {"litellm_router_instance": router, "deployment_id": deployment}
    assert 0 == cooldown_handlers.get_deployment_successes_for_current_minute(**about)  # type: ignore[arg-type]
    return cooldown_handlers.get_deployment_failures_for_current_minute(**about)  # type: ignore[arg-type]


async def resting(router: Router) -> list[str]:
    found = await router.cooldown_cache.async_get_active_cooldowns(router.get_model_ids(), None)
    known = (router.get_deployment(deployment) for deployment, _ in found)
    return [deployment.model_name for deployment in known if deployment is not None]


@pytest.mark.parametrize(("failure", "model", "form", "stream"), CASES)
async def test_each_call_that_failed_counts_once(
    router: Router, provider: DemoProviderServer, failure: str, model: str, form: str, stream: bool
) -> None:
    """However often it was tried. By as many as are needed the model rests, not by fewer; another answers."""
    provider.script(model=MODELS[model][0].rpartition("/")[2], **FAILURES[failure])
    for count in range(1, CALLS + 1):
        assert [] == await resting(router)
        assert "Hello" in await ask(router, form, model, stream)
        assert count == failures(router, model)

    assert [model] == await resting(router)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(("model", "form"), product(("openai", "anthropic", "gemini"), FORMS))
async def test_an_answer_counts_as_the_success_it_is(
    router: Router, model: str, form: str, stream: bool
) -> None:
    """A moment later. A model's only deployment rests where none of a minute's calls was one."""
    (deployment,) = router.get_model_ids(model)
    await ask(router, form, model, stream)
    async with asyncio.timeout(10):
        while not cooldown_handlers.get_deployment_successes_for_current_minute(router, deployment):  # noqa: ASYNC110  # no event tells
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("form", FORMS)
async def test_so_does_the_failure_of_the_model_it_was_handed_on_to(
    router: Router, provider: DemoProviderServer, form: str, stream: bool
) -> None:
    """LiteLLM counts those elsewhere."""
    provider.script(status=500)
    for count in range(1, CALLS):
        with pytest.raises(Exception):  # noqa: B017  # whatever LiteLLM makes of it
            await ask(router, form, "anthropic", stream)
        assert [count, count] == [failures(router, model) for model in ("anthropic", "second")]


async def test_a_simulated_failure_says_nothing_of_its_deployment(router: Router) -> None:
    for _ in range(CALLS):
        with pytest.raises(litellm.InternalServerError):
            await ask(router, "chat", "openai", False, simulated=Simulation.SERVER)

    assert 0 == failures(router, "openai")
