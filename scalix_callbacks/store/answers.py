"""Cached answers in Redis: sealed, bounded in number, size and time, forgotten with who asked for them."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from scalix_callbacks.core.caching import MAX_TTL_S
from scalix_callbacks.store import keys, lua, words
from scalix_callbacks.store.connection import Client
from scalix_callbacks.store.lua import Lua
from scalix_callbacks.store.sealing import Sealer

TIMEOUT_S = 0.1
"""How long a call waits for an answer out of the cache, at most; it is then asked of its provider."""
MAX_ANSWER_BYTES = 256_000
"""Sealed; a longer answer is not kept."""
MAX_ANSWERS = 2_000
"""Of one shard, of which there are 64."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer as it was kept.

    Attributes:
        at_s: when, Unix time.
        model_used: the public name of the model that made it; None: not known.
        value: as LiteLLM gave it.
    """

    at_s: float
    model_used: str | None
    value: Any


class Answers:
    """The answers of all scopes. What Redis cannot tell raises `StoreLost`.

    Args:
        redis: best a client of its own: long answers must not hold up the scripts of the limits.
        max_bytes: what all shards together may take.
        now_s: the clock, Unix time.
    """

    def __init__(
        self,
        redis: Client,
        sealer: Sealer,
        *,
        max_bytes: int,
        timeout_s: float = TIMEOUT_S,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._redis = redis
        self._sealer = sealer
        self._shard_bytes = max_bytes // keys.SHARDS
        self._lua = Lua(redis, timeout_s)
        self._now_s = now_s

    async def find(self, scope: str, request: str, max_age_s: float | None = None) -> Kept | None:
        """The answer to `request`; None where there is none, or none that can be read, or one too old."""
        field = _field(scope, request)
        sealed = await self._lua.answer(self._redis.hget(keys.answers_key(scope), field))
        data = self._sealer.open(scope, field, sealed) if isinstance(sealed, bytes) else None
        if data is None:
            return None
        told = orjson.loads(data)
        now_s, at_s = self._now_s(), told["at_s"]
        if now_s >= told["until_s"] or (max_age_s is not None and now_s - at_s > max_age_s):
            return None
        return Kept(at_s, told["model"], told["value"])

    async def keep(
        self, scope: str, author: str, request: str, value: Any, model_used: str | None, ttl_s: int
    ) -> bool:
        """Keeps `value`, JSON, for `ttl_s` seconds at most; False: it is too large."""
        ttl_s, now_s = min(ttl_s, MAX_TTL_S), self._now_s()
        told = {"at_s": now_s, "until_s": now_s + ttl_s, "model": model_used, "value": value}
        field = _field(scope, request)
        sealed = self._sealer.seal(scope, field, orjson.dumps(told))
        if len(sealed) > min(MAX_ANSWER_BYTES, self._shard_bytes):
            return False
        await self._lua.run(
            lua.KEEP,
            keys.answers_keys(scope),
            field,
            keys.digest(author),
            sealed,
            ttl_s * 1_000,
            self._shard_bytes,
            MAX_ANSWERS,
            words.milliseconds(now_s),
        )
        return True


class ForgetsAnswers:
    """Takes out what an account asked for, wherever it may lie. Raises `StoreLost`."""

    def __init__(self, redis: Client, timeout_s: float = 1.0) -> None:
        self._lua = Lua(redis, timeout_s)

    async def forget(self, author: str, scopes: Iterable[str]) -> int:
        """Returns how many answers there were."""
        return sum(
            [
                int(await self._lua.run(lua.FORGET, keys.answers_keys(scope), keys.digest(author)))
                for scope in scopes
            ]
        )


def _field(scope: str, request: str) -> str:
    return f"{keys.digest(scope)}:{keys.digest(request)}"
