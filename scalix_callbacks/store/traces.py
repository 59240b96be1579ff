"""Traces of requests in Redis: bounded in number, size and time, found by ids, forgotten with their user.

Each batch goes to one shard, the next one to another, so that a batch is one script on one slot. To find a
trace all shards are asked, which only an operator does.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import orjson

from scalix_callbacks.store import keys, lua, words
from scalix_callbacks.store.connection import Client
from scalix_callbacks.store.lua import Lua

TIMEOUT_S = 1.0
"""Nobody waits for it but who looks for a trace."""
TTL_S = 86_400
MAX_TRACE_BYTES = 8_000
MAX_TRACES = 2_000
"""Of one shard, of which there are 64."""
MAX_FOUND = 20
MAX_ID = 128
_NONE = "-"


@dataclass(frozen=True, slots=True)
class Entry:
    """A trace to be kept.

    Attributes:
        request_id: ours, of which there is one for each request; the only name it is kept under.
        user_id, call_id, client_request_id: what else it may be looked for or erased by; None: nothing.
    """

    request_id: str
    user_id: str | None
    call_id: str | None
    client_request_id: str | None
    told: dict[str, Any]


class Traces:
    """The traces of all workers. What Redis cannot tell raises `StoreLost`.

    Args:
        redis: best a client of its own: it must not hold up the scripts of the limits.
        max_bytes: what all shards together may take.
        first_shard: where the first batch goes; each worker has its own.
        now_s: the clock, Unix time; None: Redis' own.
    """

    def __init__(
        self,
        redis: Client,
        *,
        max_bytes: int,
        first_shard: int = 0,
        timeout_s: float = TIMEOUT_S,
        now_s: Callable[[], float] | None = None,
    ) -> None:
        self._redis = redis
        self._lua = Lua(redis, timeout_s)
        self._shard_bytes = max_bytes // keys.SHARDS
        order = [(first_shard + i) % keys.SHARDS for i in range(keys.SHARDS)]
        self._shards: Iterator[int] = cycle(order)
        self._now_s = now_s

    async def keep(self, entries: Sequence[Entry]) -> None:
        """Keeps them for a day, or until there is no more room for them."""
        arguments: list[str | bytes] = []
        for entry in entries:
            arguments += (entry.request_id, _names(entry), _packed(entry.told))
        if not arguments:
            return
        now = words.milliseconds(None if self._now_s is None else self._now_s())
        await self._lua.run(
            lua.TRACE,
            keys.traces_keys(next(self._shards)),
            TTL_S * 1_000,
            self._shard_bytes,
            MAX_TRACES,
            now,
            *arguments,
        )

    async def find(self, id: str) -> list[dict[str, Any]]:
        """The traces with this id, the oldest first: of a request, a call, or a client's own id.

        Our ids name one request each; a client's may name many, and those of several users.
        """
        if not 1 <= len(id) <= MAX_ID:
            return []
        found, wanted = [], keys.digest(id).encode()
        for shard in range(keys.SHARDS):
            traces, _, names = keys.traces_keys(shard)
            ids = [id]
            told: Mapping[Any, Any] = await self._lua.answer(self._redis.hgetall(names))
            ids += [each.decode() for each, known in told.items() if wanted in known.split()[1:]]
            for each in dict.fromkeys(ids[: MAX_FOUND + 1]):
                stored = await self._lua.answer(self._redis.hget(traces, each)) if each != "bytes" else None
                if stored is not None:
                    found.append(orjson.loads(stored))
        return sorted(found, key=lambda each: str(each.get("at")))[:MAX_FOUND]

    async def forget(self, user_id: str) -> int:
        """Takes out all traces of a user; returns how many there were."""
        count = 0
        for shard in range(keys.SHARDS):
            count += int(await self._lua.run(lua.FORGET, keys.traces_keys(shard), keys.digest(user_id)))
        return count


class ForgetsTraces:
    """`Traces.forget`, for who keeps none."""

    def __init__(self, redis: Client, timeout_s: float = TIMEOUT_S) -> None:
        self._traces = Traces(redis, max_bytes=0, timeout_s=timeout_s)

    async def forget(self, user_id: str) -> int:
        """Raises StoreLost."""
        return await self._traces.forget(user_id)


def _names(entry: Entry) -> str:
    ids = (entry.user_id, entry.call_id, entry.client_request_id)
    return " ".join(_NONE if each is None else keys.digest(each) for each in ids)


def _packed(told: dict[str, Any]) -> bytes:
    """As JSON, without the steps for which there is no room."""
    packed = orjson.dumps(told)
    while len(packed) > MAX_TRACE_BYTES and told.get("steps"):
        half = len(told["steps"]) // 2
        left_out = told.get("left_out", 0) + len(told["steps"]) - half
        told = {**told, "steps": told["steps"][:half], "left_out": left_out}
        packed = orjson.dumps(told)
    return packed
