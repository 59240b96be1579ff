"""LiteLLM's cache over our store: whose answer it is is decided by the call alone."""

import asyncio
from collections.abc import Iterator
from typing import Any

import litellm
import pytest
from litellm.caching.caching import Cache
from litellm.caching.caching_handler import _PENDING_CACHE_WRITES, LLMCachingHandler
from litellm.types.utils import ModelResponse

from scalix_callbacks.core.caching import CachePlan
from scalix_callbacks.core.call import CURRENT_CALL, Call
from scalix_callbacks.proxy import answer_cache, registration
from scalix_callbacks.proxy.answer_cache import AnswerCache
from scalix_callbacks.store.answers import Kept
from scalix_callbacks.store.errors import StoreLost
from tests.clock import Clock


class Store:
    """Keeps by scope and request; notes what is asked of it."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], Any] = {}
        self.asked = 0
        self.is_lost = False

    async def find(self, scope: str, request: str, max_age_s: float | None = None) -> Kept | None:
        self.asked += 1
        if self.is_lost:
            raise StoreLost("Redis does not answer.")
        found = self.kept.get((scope, request))
        return None if found is None else Kept(0.0, "free-b", found)

    async def keep(
        self, scope: str, author: str, request: str, value: Any, model_used: str | None, ttl_s: int
    ) -> bool:
        self.asked += 1
        if self.is_lost:
            raise StoreLost("Redis does not answer.")
        self.kept[scope, request] = value
        return True


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(store: Store, clock: Clock) -> AnswerCache:
    return AnswerCache(store, clock)


@pytest.fixture
def installed(cache: AnswerCache) -> Iterator[AnswerCache]:
    """In LiteLLM, for as long as the test runs."""
    before = litellm.cache
    answer_cache.install(cache)
    yield cache
    litellm.cache = before
    LLMCachingHandler.async_get_cache = answer_cache._original_get
    LLMCachingHandler._async_get_cache = answer_cache._original_get
    LLMCachingHandler.async_set_cache = answer_cache._original_set
    LLMCachingHandler.add_streaming_response_to_cache = answer_cache._original_add
    LLMCachingHandler._add_streaming_response_to_cache = answer_cache._original_add


def begin(scope: str | None, **plan: Any) -> Call:
    """A call of this task; None: without a plan."""
    call = Call("r", cache=None if scope is None else CachePlan(scope, scope, "q", **plan))
    CURRENT_CALL.set(call)
    return call


async def answered(cache: AnswerCache, call: Call, value: Any = "answer") -> None:
    await cache.async_set_cache("key", value)
    cache.confirm(call, "free-a")
    await cache.written()


async def test_an_answer_is_found_by_who_asked(cache: AnswerCache) -> None:
    """And by nobody else, whatever key LiteLLM asks with."""
    await answered(cache, begin("own:ada"))
    ada, found = begin("own:ada"), await cache.async_get_cache("key")
    begin("own:bob")
    stolen = [await cache.async_get_cache(key) for key in ("key", "own:ada:key", "q:key")]

    assert ("answer", [None] * 3) == (found, stolen)
    assert ada.cache is not None
    assert (True, "free-b") == (ada.cache.is_hit, ada.cache.model_used)


async def test_without_a_plan_nothing_is_asked(cache: AnswerCache, store: Store) -> None:
    """A call that is not cacheable does no I/O, nor does anything that is no call."""
    call = begin(None)
    await answered(cache, call)
    assert await cache.async_get_cache("key") is None
    CURRENT_CALL.set(None)
    await cache.async_set_cache("key", "x")

    assert await cache.async_get_cache("key") is None
    assert 0 == store.asked


@pytest.mark.parametrize("is_told_first", [False, True])
async def test_only_what_ended_well_is_kept(cache: AnswerCache, store: Store, is_told_first: bool) -> None:
    """LiteLLM brings an answer before, or after, it is known to be one."""
    call = begin("own:ada")
    if is_told_first:
        cache.confirm(call, None)
        assert {} == store.kept
        await cache.async_set_cache("key", "x")
    else:
        await cache.async_set_cache("key", "x")
        await cache.written()
        assert {} == store.kept
        cache.confirm(call, None)
    await cache.written()

    assert {("own:ada", "q:key"): "x"} == store.kept


@pytest.mark.parametrize("plan", [{"stores": False}, {"is_hit": True}])
async def test_what_is_not_to_be_kept_is_not(cache: AnswerCache, store: Store, plan: Any) -> None:
    """By wish, or because it is there already."""
    await answered(cache, begin("own:ada", **plan))

    assert {} == store.kept


async def test_who_refreshes_is_not_answered_from_the_cache(cache: AnswerCache, store: Store) -> None:
    """And keeps the new answer."""
    await answered(cache, begin("own:ada"))
    call = begin("own:ada", reads=False)
    assert await cache.async_get_cache("key") is None
    await answered(cache, call, "newer")

    assert ["newer"] == list(store.kept.values())


async def test_a_lost_store_is_a_miss(cache: AnswerCache, store: Store, clock: Clock) -> None:
    """Then it is left alone for a second: no call waits for it."""
    store.is_lost = True
    call = begin("own:ada")
    for _ in range(5):
        assert await cache.async_get_cache("key") is None
    await answered(cache, call)
    assert 1 == store.asked
    clock.now_s += 1.5
    store.is_lost = False
    await answered(cache, begin("own:ada"))

    assert {("own:ada", "q:key"): "answer"} == store.kept


async def test_writes_have_a_bound(cache: AnswerCache, store: Store, monkeypatch: Any) -> None:
    """What is too much at once is not kept."""
    monkeypatch.setattr(answer_cache, "MAX_WRITES", 2)
    for name in "abcd":
        call = begin(f"own:{name}")
        await cache.async_set_cache("key", "x")
        cache.confirm(call, None)
    await cache.written()

    assert 2 == len(store.kept)


STEERED = {
    "cache": {"namespace": "own:bob", "use-cache": True, "s-maxage": 9},
    "cache_key": "k",
    "ttl": 9,
    "caching": True,
    "metadata": {"redis_namespace": "own:bob", "caching_groups": [["m"]], "kept": 1},
    "litellm_metadata": {"redis_namespace": "own:bob"},
}


def test_what_a_request_says_of_litellms_cache_goes() -> None:
    """Without a plan nothing of it is left."""
    data: dict[str, Any] = {**STEERED, "metadata": dict(STEERED["metadata"])}
    answer_cache.steer(data, begin(None))

    assert {"metadata": {"kept": 1}, "litellm_metadata": {}} == data


def test_litellm_is_told_the_plan() -> None:
    """Its namespace is ours."""
    data: dict[str, Any] = {**STEERED, "metadata": dict(STEERED["metadata"])}
    answer_cache.steer(data, begin("own:ada", reads=False, ttl_s=7))

    assert data["caching"] is True
    assert {
        "use-cache": True,
        "namespace": "q",
        "no-cache": True,
        "no-store": False,
        "ttl": 7,
    } == data["cache"]


def test_litellm_uses_it_and_logs_nothing_of_it(installed: AnswerCache) -> None:
    """Its cache is no listener, no Redis that LiteLLM could borrow, and off where nobody asks for it."""
    callbacks = (litellm.input_callback, litellm.success_callback, litellm._async_success_callback)

    assert installed is answer_cache.installed()
    assert [] == [each for each in callbacks if "cache" in each]
    assert not litellm.cache.should_use_cache(cache={})
    assert None is LLMCachingHandler(litellm.acompletion, {}, None).dual_cache  # type: ignore[arg-type]
    assert not [problem for problem in registration.problems() if "cache" in problem]


async def test_a_whole_call_through_litellm(installed: AnswerCache, store: Store) -> None:
    """LiteLLM's own `acompletion` keeps and finds; the second answer asks no provider."""

    async def ask(scope: str | None) -> tuple[Any, bool]:
        call = begin(scope)
        data: dict[str, Any] = {"messages": [{"role": "user", "content": "x"}]}
        answer_cache.steer(data, call)
        answer = await litellm.acompletion(model="openai/m", api_key="k", mock_response="the words", **data)
        await asyncio.gather(*_PENDING_CACHE_WRITES)
        answer_cache.confirm(call, None)
        await installed.written()
        return answer.choices[0].message.content, answer_cache.is_hit(call)

    told = [await ask(scope) for scope in ("own:ada", "own:ada", "own:bob", None)]
    assert [("the words", False), ("the words", True), ("the words", False), ("the words", False)] == told
    assert 2 == len(store.kept)


async def test_what_litellm_made_nothing_of_was_no_hit(installed: AnswerCache) -> None:
    """It then asked a provider, which is charged for."""
    call = begin("own:ada", is_hit=True)
    handler = LLMCachingHandler(litellm.acompletion, {}, None)  # type: ignore[arg-type]
    await handler.async_set_cache(ModelResponse(), litellm.acompletion, {})

    assert not answer_cache.is_hit(call)


def test_another_cache_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of LiteLLM's own would be shared by all users: no worker starts with it."""
    monkeypatch.setattr(litellm, "cache", Cache())

    assert ["litellm_settings.cache"] == [
        problem.split()[0] for problem in registration.problems() if "cache" in problem
    ]


def test_an_answer_out_of_the_cache_used_nothing() -> None:
    """Its provider's usage was that of another call."""
    answer = ModelResponse(usage=litellm.Usage(prompt_tokens=5, completion_tokens=7, total_tokens=12))
    answer_cache.tell_unused(answer)

    assert 0 == answer.usage.total_tokens
