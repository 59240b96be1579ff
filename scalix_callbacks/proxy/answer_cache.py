"""LiteLLM's own answer cache over our store.

LiteLLM decides what an answer is and plays it again, as a stream where one is asked for; whose it is, and
whether it may be kept, is decided here. Nothing that a request holds is believed: an answer is looked for and
kept under the plan of the call this task works for (`core.caching`), whatever key or namespace LiteLLM has
made. Without a plan there is no cache.

LiteLLM's own Redis backend would keep answers as plain text, and a copy of each in its process; and LiteLLM
would take its connection for counters, cooldowns and its own limiter.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Protocol

import litellm
from litellm.caching.base_cache import BaseCache
from litellm.caching.caching import Cache, CacheMode
from litellm.caching.caching_handler import LLMCachingHandler
from litellm.types.utils import Usage as LiteLLMUsage

from scalix_callbacks.core.breaker import Breaker
from scalix_callbacks.core.caching import CachePlan
from scalix_callbacks.core.call import CURRENT_CALL, Call
from scalix_callbacks.core.trace import Step
from scalix_callbacks.store.answers import Kept
from scalix_callbacks.store.errors import StoreLost

CALL_TYPES = ("acompletion", "atext_completion")
BREAKER_PAUSE_S = 1.0
MAX_WRITES = 100
"""At once; what comes then is not kept."""
_STEERING = ("cache", "cache_key", "caching", "ttl", "s-maxage")
_BUCKETS = ("metadata", "litellm_metadata")
_STEERING_METADATA = ("redis_namespace", "caching_groups")

_log = logging.getLogger("scalix.cache")


class Store(Protocol):
    """`Answers`; raises StoreLost."""

    async def find(self, scope: str, request: str, max_age_s: float | None = None) -> Kept | None: ...

    async def keep(
        self, scope: str, author: str, request: str, value: Any, model_used: str | None, ttl_s: int
    ) -> bool: ...


class AnswerCache(BaseCache):
    """What LiteLLM's cache reads and writes. Never fails, and waits no longer than the store does.

    Args:
        elapsed: seconds that only grow.
    """

    def __init__(self, store: Store, elapsed: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._store = store
        self._elapsed = elapsed
        self._breaker = Breaker(BREAKER_PAUSE_S)
        self._writes: set[asyncio.Task[None]] = set()

    async def async_get_cache(self, key: str, **kwargs: Any) -> Any:
        """The answer to this call, as LiteLLM gave it; None: there is none."""
        plan = _plan()
        if plan is None:
            return None
        plan.is_hit = False
        if not plan.reads or not self._breaker.permits(self._elapsed()):
            return None
        try:
            kept = await self._store.find(plan.scope, _request(plan, key), plan.max_age_s)
        except StoreLost:
            self._breaker.failed(self._elapsed())
            return None
        self._breaker.succeeded()
        if kept is None:
            return None
        plan.is_hit, plan.model_used = True, kept.model_used
        if (call := CURRENT_CALL.get()) is not None:
            call.note(Step.CACHE_HIT, {"model": kept.model_used})
        return kept.value

    async def async_set_cache(self, key: str, value: Any, **kwargs: Any) -> None:
        """Waits with the answer until its call ended well; it may have done so already."""
        plan = _plan()
        if plan is not None and plan.stores and not plan.is_hit:
            plan.answer = (key, value)
            self._keep_soon(plan)

    def confirm(self, call: Call, model_used: str | None) -> None:
        """The call ended well: its answer is kept, in the background."""
        plan = call.cache
        if plan is not None and plan.stores and not plan.is_hit:
            plan.is_confirmed, plan.model_used = True, model_used
            self._keep_soon(plan)

    async def written(self) -> None:
        """Waits for what is being kept."""
        await asyncio.gather(*self._writes, return_exceptions=True)

    def _keep_soon(self, plan: CachePlan) -> None:
        if plan.answer is None or not plan.is_confirmed or len(self._writes) >= MAX_WRITES:
            return
        task = asyncio.get_running_loop().create_task(self._keep(plan, *plan.answer))
        plan.answer = None
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)

    async def _keep(self, plan: CachePlan, key: str, value: Any) -> None:
        if not self._breaker.permits(self._elapsed()):
            return
        try:
            await self._store.keep(
                plan.scope, plan.author, _request(plan, key), value, plan.model_used, plan.ttl_s
            )
        except StoreLost:
            self._breaker.failed(self._elapsed())
        except (
            Exception
        ) as error:  # the outermost place of this task; an answer that is not kept is no failure
            _log.warning("An answer was not kept (%s).", type(error).__name__)
        else:
            self._breaker.succeeded()

    # What LiteLLM asks of every backend, and we have no use for: calls of its synchronous functions,
    # embeddings, and its own end.

    def get_cache(self, key: str, **kwargs: Any) -> None:
        return None

    def set_cache(self, key: str, value: Any, **kwargs: Any) -> None:
        return None

    async def async_set_cache_pipeline(self, cache_list: Any, **kwargs: Any) -> None:
        return None

    async def ping(self) -> bool:
        return not self._breaker.is_open

    async def disconnect(self) -> None:
        return None


def install(cache: AnswerCache) -> None:
    """Makes it the cache of this process's LiteLLM. Done again, the last one holds."""
    litellm.cache = Cache(
        mode=CacheMode.default_off,
        supported_call_types=list(CALL_TYPES),
        max_messages=None,
        _backend=cache,
    )
    # LiteLLM registers its cache as a logger of calls. It logs nothing, but `repairs.success_log` would
    # take it for somebody who listens.
    for callbacks in (litellm.input_callback, litellm.success_callback, litellm._async_success_callback):
        while "cache" in callbacks:
            callbacks.remove("cache")
    LLMCachingHandler.async_get_cache = LLMCachingHandler._async_get_cache = _async_get_cache
    LLMCachingHandler.async_set_cache = _async_set_cache
    LLMCachingHandler.add_streaming_response_to_cache = _add_streaming_response_to_cache
    LLMCachingHandler._add_streaming_response_to_cache = _add_streaming_response_to_cache


def installed() -> AnswerCache | None:
    """That of this process's LiteLLM; None: it has none of ours."""
    backend = getattr(litellm.cache, "cache", None)
    return backend if isinstance(backend, AnswerCache) else None


def steer(data: dict[str, Any], call: Call) -> None:
    """What LiteLLM is told of its cache; all that the request says of it goes."""
    for name in _STEERING:
        data.pop(name, None)
    for bucket in _BUCKETS:
        if isinstance(told := data.get(bucket), dict):
            for name in _STEERING_METADATA:
                told.pop(name, None)
    plan = call.cache
    if plan is not None:
        data["caching"] = True
        # The namespace is part of LiteLLM's key. It would keep users apart even over another backend.
        data["cache"] = {
            "use-cache": True,
            "namespace": plan.request,
            "no-cache": not plan.reads,
            "no-store": not plan.stores,
            "ttl": plan.ttl_s,
        }


def confirm(call: Call, model_used: str | None) -> None:
    """The call ended well: its answer may be kept."""
    if call.cache is not None and (cache := installed()) is not None:
        cache.confirm(call, model_used)


def is_hit(call: Call) -> bool:
    """Whether its answer comes from the cache."""
    return call.cache is not None and call.cache.is_hit


def tell_unused(answer: Any) -> None:
    """An answer out of the cache tells what this call used: nothing."""
    if getattr(answer, "usage", None) is not None:
        answer.usage = LiteLLMUsage(prompt_tokens=0, completion_tokens=0, total_tokens=0)


def _plan() -> CachePlan | None:
    call = CURRENT_CALL.get()
    return None if call is None else call.cache


def _request(plan: CachePlan, key: str) -> str:
    """What was asked, by us and by LiteLLM: its key holds what hooks have put into the call since."""
    return f"{plan.request}:{key}"


_original_get = LLMCachingHandler.async_get_cache
_original_set = LLMCachingHandler.async_set_cache
_original_add = LLMCachingHandler.add_streaming_response_to_cache


async def _async_get_cache(self: LLMCachingHandler, *args: Any, **kwargs: Any) -> Any:
    """1.106.2 inspects the arguments of a call and makes its key before it asks whether to look for it."""
    return None if _plan() is None else await _original_get(self, *args, **kwargs)


async def _async_set_cache(self: LLMCachingHandler, *args: Any, **kwargs: Any) -> None:
    """Likewise before it asks whether to keep an answer."""
    plan = _plan()
    if plan is None:
        return
    plan.is_hit = False  # it comes here with a provider's answer alone: it made nothing of the one we had
    if plan.stores:
        await _original_set(self, *args, **kwargs)


async def _add_streaming_response_to_cache(self: LLMCachingHandler, *args: Any, **kwargs: Any) -> None:
    """Likewise it puts together the answer of every stream, before it asks."""
    plan = _plan()
    if plan is not None and plan.stores:
        await _original_add(self, *args, **kwargs)
