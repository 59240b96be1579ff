"""What one caller asks wrongly neither rests a deployment for the others nor is tried again."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import litellm
import litellm.router as router_module
import pytest
from litellm.exceptions import BadRequestError, NotFoundError
from litellm.router import Router
from litellm.router_utils import cooldown_handlers, fallback_event_handlers
from litellm.utils import Rules, function_setup

from scalix_callbacks.core.call import CURRENT_CALL, Call
from scalix_callbacks.core.routes import Endpoint
from scalix_callbacks.proxy.repairs import callers_mistakes, refused_keys
from tests.litellm_clients import close_clients
from tests.proxy.raw_provider import json_reply, raw_provider

HELLO = [{"role": "user", "content": "Hello"}]
UNTRANSLATABLE = [{"role": "user", "content": [{"type": "image_url"}]}]
LITELLMS_OWN = cooldown_handlers.is_advisor_orchestration_failure


@asynccontextmanager
async def provider(statuses: dict[str, int]) -> AsyncIterator[tuple[str, list[str]]]:
    """Answers each path that ends so with that status, others with 500; its address, what it was asked."""
    asked: list[str] = []

    def reply(path: str) -> bytes:
        asked.append(path)
        status = next((status for end, status in statuses.items() if path.endswith(end)), 500)
        return json_reply(status, {"error": {"message": "no", "type": "x", "param": None, "code": None}})

    async with raw_provider(reply) as address:
        yield address, asked


@pytest.fixture(autouse=True)
def _mended(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """LiteLLM with our mend, without the pauses between its tries, and resting as the launcher has it."""
    for owner, name in (
        (router_module, "is_advisor_orchestration_failure"),
        (fallback_event_handlers, "is_advisor_orchestration_failure"),
        (Router, "should_retry_this_error"),
    ):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    monkeypatch.setattr(cooldown_handlers, "SINGLE_DEPLOYMENT_TRAFFIC_FAILURE_THRESHOLD", 3)
    monkeypatch.setattr(Router, "_time_to_sleep_before_retry", lambda *args, **kwargs: 0)
    callers_mistakes.install()
    yield
    litellm.callbacks.clear()


@asynccontextmanager
async def routed(model: str, address: str, *, before: str | None = None) -> AsyncIterator[Router]:
    """A router with one deployment, `m`; `before` is asked before it, and falls back to it."""
    params = {"model": model, "api_base": address, "api_key": "k", "api_version": "1"}
    deployments = [{"model_name": "m", "litellm_params": params, "model_info": {"id": "m"}}]
    if before is not None:
        first = {**params, "model": before, "cooldown_time": 0}
        deployments.append({"model_name": "first", "litellm_params": first, "model_info": {"id": "first"}})
    router = Router(model_list=deployments, num_retries=2)
    try:
        yield router
    finally:
        router.discard()
        await close_clients()


async def ask(router: Router, endpoint: Endpoint, model: str = "m", **fields: Any) -> Exception:
    """What one call of a user ends with."""
    token = CURRENT_CALL.set(Call("r-1", endpoint=endpoint))
    try:
        with pytest.raises(Exception) as caught:  # whatever LiteLLM makes of it
            if endpoint is Endpoint.EMBEDDINGS:
                await router.aembedding(model=model, input=["x"], max_retries=0, metadata={}, **fields)
            else:
                asked = {"messages": HELLO, "max_retries": 0, "metadata": {}, **fields}
                await router.acompletion(model=model, **asked)
    finally:
        CURRENT_CALL.reset(token)
    return caught.value


async def resting(router: Router) -> list[str]:
    found = await router.cooldown_cache.async_get_active_cooldowns(["m"], None)
    return [deployment for deployment, _ in found]


async def test_a_model_that_makes_no_embeddings_still_chats() -> None:
    """Anyone may ask a chat model for embeddings; its provider answers 404, and nothing is charged."""
    async with provider({"/embeddings": 404}) as (address, _), routed("openai/x", address) as router:
        errors = [await ask(router, Endpoint.EMBEDDINGS) for _ in range(4)]

        assert {NotFoundError} == set(map(type, errors))
        assert [] == await resting(router)


async def test_a_model_that_its_provider_no_longer_has_rests() -> None:
    """Every caller meets that 404, so that other models had better be asked at once."""
    async with provider({"/chat/completions": 404}) as (address, _), routed("openai/x", address) as router:
        await ask(router, Endpoint.CHAT)

        assert ["m"] == await resting(router)


async def test_what_cannot_be_translated_is_neither_counted_nor_tried_again() -> None:
    """For Azure that is an APIError with status 500: three tries of it, and the model would rest."""
    async with provider({}) as (address, asked), routed("azure/x", address) as router:
        tries = counted_tries(router)
        for _ in range(3):
            await ask(router, Endpoint.CHAT, messages=UNTRANSLATABLE)

        assert (3, [], []) == (len(tries), asked, await resting(router))


async def test_failures_of_the_provider_are_counted_as_ever() -> None:
    """All calls of a minute failed, and there were some: the model rests."""
    async with provider({}) as (address, _), routed("azure/x", address) as router:
        for _ in range(3):
            await ask(router, Endpoint.CHAT)

        assert ["m"] == await resting(router)


async def test_litellm_still_rests_a_model_that_makes_no_embeddings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once it does not, the router's part of `callers_mistakes` can go."""
    monkeypatch.setattr(router_module, "is_advisor_orchestration_failure", LITELLMS_OWN)
    async with provider({"/embeddings": 404}) as (address, _), routed("openai/x", address) as router:
        await ask(router, Endpoint.EMBEDDINGS)

        assert ["m"] == await resting(router)


@pytest.mark.parametrize("is_mended", [False, True])
async def test_so_it_is_with_the_model_that_another_falls_back_to(
    is_mended: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LiteLLM counts the failures of fallbacks elsewhere. Once it rests none for what its caller asked, that
    part of `callers_mistakes` can go."""
    if not is_mended:
        monkeypatch.setattr(fallback_event_handlers, "is_advisor_orchestration_failure", LITELLMS_OWN)
    async with provider({}) as (address, asked), routed("azure/x", address, before="azure/y") as router:
        for _ in range(3):
            about: dict[str, Any] = {"model": "first", "messages": UNTRANSLATABLE, "litellm_call_id": "c-1"}
            logging, _ = function_setup("acompletion", Rules(), datetime.now(), **about)
            fields = {"messages": UNTRANSLATABLE, "litellm_logging_obj": logging}  # as the proxy asks
            await ask(router, Endpoint.CHAT, "first", fallbacks=[{"first": ["m"]}], **fields)

        assert ([] if is_mended else ["m"]) == await resting(router)
        assert [] == asked


async def test_litellm_still_tries_again_what_cannot_be_translated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once it does not, the retries of `callers_mistakes` can go."""
    monkeypatch.setattr(Router, "should_retry_this_error", refused_keys._original)
    async with provider({}) as (address, asked), routed("azure/x", address) as router:
        tries = counted_tries(router)
        await ask(router, Endpoint.CHAT, messages=UNTRANSLATABLE)

        assert (3, []) == (len(tries), asked)


def test_what_the_caller_did_is_told_by_what_it_is() -> None:
    """A 400 says something of the request, a 404 of a chat something of the model."""
    wrong = BadRequestError("no", "m", "openai")
    gone = NotFoundError("no", "m", "openai")

    assert callers_mistakes.is_not_the_deployments(wrong)
    assert not callers_mistakes.is_not_the_deployments(gone)
    assert not callers_mistakes.is_not_the_deployments(None)


def counted_tries(router: Router) -> list[str]:
    """How often the router tries a call."""
    tries: list[str] = []
    original = router.make_call

    async def counting(*args: Any, **kwargs: Any) -> Any:
        tries.append("try")
        return await original(*args, **kwargs)

    router.make_call = counting
    return tries
