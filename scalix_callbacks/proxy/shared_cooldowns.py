"""LiteLLM's cooldowns over our Redis: a deployment that rests in one worker rests in all."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from litellm.caching.dual_cache import DualCache
from litellm.router import Router

from scalix_callbacks.core.breaker import Breaker
from scalix_callbacks.store.errors import StoreLost

BREAKER_PAUSE_S = 5.0
MAX_WRITES = 100
"""At once; what comes then is known to this worker alone."""
_KEY = "deployment:{}:cooldown"
"""As LiteLLM calls it."""

_log = logging.getLogger("scalix.cooldowns")


class Store(Protocol):
    """`RedisCooldowns`; raises StoreLost."""

    async def add(self, deployment: str, since_s: float, rest_s: float) -> None: ...

    async def read(self, now_s: float) -> Mapping[str, tuple[float, float]]: ...


class SharedCooldowns:
    """What LiteLLM's store of cooldowns takes for its Redis. No call waits for ours: it is told what was
    known when it was last asked, and LiteLLM asks every second in which there are calls.

    LiteLLM would write in the middle of a call, and with the provider's words in it; and its Redis would be
    used for much more than this.
    """

    def __init__(self, store: Store, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._now = now
        self._breaker = Breaker(BREAKER_PAUSE_S)
        self._known: Mapping[str, tuple[float, float]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._reading: asyncio.Task[None] | None = None

    def set_cache(self, key: str, value: Mapping[str, Any], **kwargs: Any) -> None:
        """A deployment begins to rest."""
        deployment = key.removeprefix("deployment:").removesuffix(":cooldown")
        if len(self._tasks) < MAX_WRITES:
            self._soon(self._store.add(deployment, value["timestamp"], value["cooldown_time"]))

    async def async_batch_get_cache(
        self, key_list: Sequence[str], parent_otel_span: Any = None
    ) -> dict[str, Any]:
        """What rests of these, in LiteLLM's form."""
        if self._reading is None or self._reading.done():
            self._reading = self._soon(self._read())
        return self.batch_get_cache(key_list)

    def batch_get_cache(self, key_list: Sequence[str], parent_otel_span: Any = None) -> dict[str, Any]:
        """As above, of what is known already."""
        known = {
            _KEY.format(deployment): {
                "timestamp": since_s,
                "cooldown_time": rest_s,
                "exception_received": "",
                "status_code": "",
            }
            for deployment, (since_s, rest_s) in self._known.items()
        }
        return {key: known.get(key) for key in key_list}

    async def settled(self) -> None:
        """Waits for what is being read and written."""
        await asyncio.gather(*self._tasks)

    async def _read(self) -> None:
        self._known = await self._store.read(self._now())

    def _soon(self, work: Any) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(self._try(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _try(self, work: Any) -> None:
        if not self._breaker.permits(self._now()):
            work.close()
            return
        try:
            await work
        except StoreLost:
            self._breaker.failed(self._now())
            self._known = {}
        except Exception as error:  # the outermost place of this task; each worker still knows its own
            _log.warning("Cooldowns are not shared (%s).", type(error).__name__)
        else:
            self._breaker.succeeded()


def share(router: Router, store: Store) -> SharedCooldowns:
    """From now on this router's cooldowns are those of all workers."""
    shared = SharedCooldowns(store)
    # The cooldowns alone: what else the router keeps, its own cache keeps.
    router.cooldown_cache.cache = DualCache(redis_cache=shared)
    return shared
