"""What LiteLLM's router does with each failure of a provider: tries again, or hands on at once (spec E3)."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import litellm
import pytest
from litellm import Router

from scalix_callbacks.core.errors import ErrorCategory
from scalix_callbacks.proxy.errors import categorise
from scalix_callbacks.proxy.repairs import garbage, refused_keys
from tests.litellm_clients import close_clients
from tests.proxy.raw_provider import json_reply, raw_provider

pytestmark = pytest.mark.filterwarnings(
    "ignore:Item.*using the `ReadOnly` qualifier:UserWarning"
)  # LiteLLM's

RETRIES = 2
AGAIN, ONCE = 1 + RETRIES, 1
C = ErrorCategory
STATUSES = {
    400: (ONCE, C.INVALID_REQUEST),
    401: (ONCE, C.PROVIDER_AUTH),
    402: (ONCE, C.PROVIDER_AUTH),
    403: (ONCE, C.PROVIDER_AUTH),
    404: (ONCE, C.MODEL_UNAVAILABLE),
    408: (AGAIN, C.PROVIDER_TIMEOUT),
    409: (AGAIN, C.PROVIDER_ERROR),
    429: (AGAIN, C.PROVIDER_RATE_LIMITED),
    500: (AGAIN, C.PROVIDER_ERROR),
    502: (AGAIN, C.PROVIDER_ERROR),
    503: (AGAIN, C.PROVIDER_ERROR),
    529: (AGAIN, C.PROVIDER_RATE_LIMITED),
}
"""Provider calls before the fallback is asked, and what the failure is."""
BODIES = {
    "plain": {"error": {"message": "no", "type": "x", "param": None, "code": None}},
    # DeepSeek's and Scalix' own; LiteLLM makes a BadRequestError of it, whatever the status.
    "invalid_request_error": {
        "error": {
            "message": "no",
            "type": "invalid_request_error",
            "param": None,
            "code": "invalid_request_error",
        }
    },
}
ANSWER = {
    "id": "x",
    "object": "chat.completion",
    "created": 1,
    "model": "ok",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}


@asynccontextmanager
async def providers(status: int, body: Any) -> AsyncIterator[tuple[str, list[str]]]:
    """`/failing` answers with this, `/well` well; their address, and which was asked, in order."""
    asked: list[str] = []

    def reply(path: str) -> bytes:
        is_well = path.startswith("/well/")
        asked.append("well" if is_well else "failing")
        return json_reply(200, ANSWER) if is_well else json_reply(status, body)

    async with raw_provider(reply) as address:
        yield address, asked


@pytest.fixture(autouse=True)
def _mended(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """LiteLLM with our mend, and without the pauses between its tries."""
    monkeypatch.setattr(Router, "should_retry_this_error", refused_keys._original)
    refused_keys.install()
    monkeypatch.setattr(Router, "_time_to_sleep_before_retry", lambda *args, **kwargs: 0)
    yield
    litellm.callbacks.clear()


async def tried(
    model: str, status: int, body: Any, *, group: str = "f", falls_back: bool = True
) -> tuple[list[str], BaseException | None]:
    """Who was asked, in order, and what the router raised.

    Args:
        group: the deployments of the model: `f` fails, `w` does not.
        falls_back: another model follows, which does not fail.
    """
    async with providers(status, body) as (address, asked):
        failing = {"model": model, "api_base": f"{address}/failing", "api_key": "k", "api_version": "1"}
        well = {"model": "openai/ok", "api_base": f"{address}/well/v1", "api_key": "k"}
        router = Router(
            model_list=[
                *(
                    {"model_name": "first", "litellm_params": {"f": failing, "w": well}[each]}
                    for each in group
                ),
                {"model_name": "second", "litellm_params": well},
            ],
            num_retries=RETRIES,
            disable_cooldowns=True,
        )
        chain = [{"first": [{"model": "second", "num_retries": 0}]}] if falls_back else []
        raised: BaseException | None = None
        try:
            await router.acompletion(
                model="first",
                messages=[{"role": "user", "content": "x"}],
                metadata={},
                max_retries=0,
                fallbacks=chain,
            )
        except Exception as error:  # whatever LiteLLM makes of it is what is asked here
            raised = error
        router.discard()
        await close_clients()
        return asked, raised


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize(
    "model", ["openai/m", "deepseek/m", "openrouter/m", "anthropic/claude-sonnet-4-6", "gemini/m", "azure/m"]
)
async def test_each_status_is_tried_again_or_handed_on(model: str, body: str, status: int) -> None:
    """By the status, whatever the provider says beside it; in the end another model answers."""
    asked, raised = await tried(model, status, BODIES[body])

    assert raised is None
    assert ["failing"] * STATUSES[status][0] + ["well"] == asked


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("body", BODIES)
async def test_refused_credentials_of_one_of_two_deployments_are_handed_on(body: str, status: int) -> None:
    """With others of its kind, LiteLLM would try again, and meet the same ones in the end."""
    asked, raised = await tried("openai/m", status, BODIES[body], group="ff")

    assert raised is None
    assert ["failing", "well"] == asked


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("body", BODIES)
async def test_where_no_other_model_follows_another_deployment_is_asked(body: str, status: int) -> None:
    """It may have credentials of its own; the refused ones are not tried again."""
    for _ in range(6):  # which of the two is the first is left to chance
        asked, raised = await tried("openai/m", status, BODIES[body], group="fw", falls_back=False)

        assert raised is None
        assert asked in (["well"], ["failing", "well"])


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("body", BODIES)
async def test_each_status_is_told_as_what_it_is(body: str, status: int) -> None:
    """By its status, also where LiteLLM makes a bad request of it."""
    _, raised = await tried("deepseek/m", status, BODIES[body], falls_back=False)

    assert raised is not None
    assert STATUSES[status][1] is categorise(raised)


@pytest.mark.parametrize("is_mended", [False, True])
async def test_garbage_is_tried_again(is_mended: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """When LiteLLM tries it again by itself, `garbage` can go."""
    monkeypatch.setattr(litellm, "should_retry", garbage._original)
    if is_mended:
        garbage.install()
    monkeypatch.setenv("EXPERIMENTAL_OPENAI_BASE_LLM_HTTP_HANDLER", "true")  # as our launcher does
    asked, raised = await tried("openai/m", 200, "<html>Bad gateway</html>")

    assert raised is None
    assert ["failing"] * (AGAIN if is_mended else ONCE) + ["well"] == asked


@pytest.mark.parametrize("is_mended", [False, True])
async def test_garbage_once_rests_no_deployment(is_mended: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """When LiteLLM counts it like a 500 by itself, `garbage` can go."""
    monkeypatch.setattr(litellm, "should_retry", garbage._original)
    if is_mended:
        garbage.install()
    monkeypatch.setenv("EXPERIMENTAL_OPENAI_BASE_LLM_HTTP_HANDLER", "true")  # as our launcher does
    async with providers(200, "<html>Bad gateway</html>") as (address, _):
        params = {"model": "openai/m", "api_base": f"{address}/failing", "api_key": "k"}
        deployment = {"model_name": "m", "litellm_params": params, "model_info": {"id": "m"}}
        router = Router(model_list=[deployment], num_retries=0)
        with pytest.raises(litellm.APIError):
            await router.acompletion(model="m", messages=[{"role": "user", "content": "x"}])
        resting = await router.cooldown_cache.async_get_active_cooldowns(["m"], None)
        router.discard()
        await close_clients()

    assert ([] if is_mended else ["m"]) == [name for name, _ in resting]


async def test_litellm_still_needs_the_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    """When this fails, `refused_keys` can go."""
    monkeypatch.setattr(Router, "should_retry_this_error", refused_keys._original)
    for status, body in ((403, "plain"), (401, "invalid_request_error")):
        asked, _ = await tried("openai/m", status, BODIES[body])

        assert AGAIN == asked.count("failing")
