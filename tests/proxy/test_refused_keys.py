"""A provider that refuses the gateway's credentials is asked once, and then another model (spec E3)."""

from collections.abc import AsyncIterator
from itertools import product

import pytest
from litellm.router import Router

from scalix_callbacks.demo_provider.testing import DemoProviderServer
from scalix_callbacks.proxy.repairs import refused_keys
from tests.proxy.forms import FORMS, MODELS, asked, mend, open_router

pytestmark = [
    # LiteLLM's own.
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
RETRIES = 2


@pytest.fixture(params=["its own handler", "OpenAI's SDK"])
async def router(
    provider: DemoProviderServer, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> AsyncIterator[Router]:
    """By both ways in which LiteLLM talks to what is like OpenAI; ours is the first."""
    provider.reset()
    monkeypatch.setattr(Router, "should_retry_this_error", refused_keys.should_retry_this_error)
    monkeypatch.setattr(Router, "_time_to_sleep_before_retry", lambda *args, **kwargs: 0)
    mend(monkeypatch)
    async with open_router(provider, monkeypatch, num_retries=RETRIES) as router:
        if request.param == "OpenAI's SDK":
            monkeypatch.delenv("EXPERIMENTAL_OPENAI_BASE_LLM_HTTP_HANDLER")
        yield router


def provider_calls(provider: DemoProviderServer) -> list[int | None]:
    """The status of each, in their order."""
    return [call["http_status"] for call in provider.calls()]


NOT_HERE = {("azure", "responses", False), ("azure", "responses", True), ("gemini", "messages", True)}
"""The demo provider has no form of the first; of the last LiteLLM tells the status in its proxy alone."""
CASES = [
    case
    for case in product(("openai", "anthropic", "gemini", "azure"), FORMS, (False, True))
    if case not in NOT_HERE
]


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(("model", "form", "stream"), CASES)
async def test_refused_credentials_are_handed_on_at_once(
    router: Router, provider: DemoProviderServer, model: str, form: str, stream: bool, status: int
) -> None:
    """In every form, whole or streamed, whatever its provider's own."""
    provider.script(model=MODELS[model][0].rpartition("/")[2], status=status)
    told = await asked(router, form, model, stream=stream)

    assert [status, 200] == provider_calls(provider)
    assert "Hello" in told


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("form", FORMS)
async def test_a_failure_of_the_server_is_tried_again(
    router: Router, provider: DemoProviderServer, form: str, stream: bool
) -> None:
    """Which shows that the others were not by chance."""
    provider.script(model="openai", status=500)
    await asked(router, form, "openai", stream=stream)

    assert [500] * (1 + RETRIES) + [200] == provider_calls(provider)
