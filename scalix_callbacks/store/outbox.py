"""The outbox: records of ended calls on their way to the ledger, a stream per shard."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from scalix_callbacks.store.connection import TIMEOUT_S, Client
from scalix_callbacks.store.errors import StoreLost
from scalix_callbacks.store.keys import SHARDS, outbox_key
from scalix_callbacks.store.lua import Lua


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """A record that waits for the ledger.

    Attributes:
        entry_id: where it is; in one shard they grow.
        is_counted: whether the call counted as a request.
        is_late: this record replaces that of a call given up, or one that says wrongly that it counts.
    """

    shard: int
    entry_id: str
    record: Mapping[str, Any]
    is_counted: bool
    is_late: bool


class RedisOutbox:
    """Reads what the settle script wrote. Any number may read at once: the ledger takes a record once."""

    def __init__(self, redis: Client, timeout_s: float = TIMEOUT_S) -> None:
        self._redis = redis
        self._lua = Lua(redis, timeout_s)
        self._first_shard = 0

    async def read(self, limit: int) -> list[OutboxEntry]:
        """Up to `limit` entries, oldest first within a shard; they stay until acknowledged.

        Of a cluster, those of the servers that answer: one that is lost does not hold up the others' records.

        Raises:
            StoreLost: Redis did not answer.
        """
        entries: list[OutboxEntry] = []
        lengths = await self._lengths()
        if not any(isinstance(length, int) for length in lengths):
            raise StoreLost("Redis does not tell what is in the outbox.")
        waiting = [(s, length) for s, length in enumerate(lengths) if isinstance(length, int) and length]
        # Another shard comes first each time, so that a busy one does not keep the others waiting.
        waiting.sort(key=lambda one: (one[0] - self._first_shard) % SHARDS)
        self._first_shard = (self._first_shard + 1) % SHARDS
        pipeline = self._redis.pipeline(transaction=False)
        shards, left = [], limit
        for shard, length in waiting:
            if left > 0:
                pipeline.xrange(outbox_key(shard), count=min(left, length))
                shards.append(shard)
                left -= length
        told = await self._lua.answer(pipeline.execute(raise_on_error=False)) if shards else ()
        for shard, rows in zip(shards, told, strict=True):
            if not isinstance(rows, Exception):
                entries += [_entry(shard, entry_id, fields) for entry_id, fields in rows]
        return entries

    async def acknowledge(self, entries: Iterable[OutboxEntry]) -> None:
        """Forgets entries that the ledger has.

        Raises:
            StoreLost: Redis did not answer; they may come again.
        """
        by_shard: dict[int, list[str]] = {}
        for entry in entries:
            by_shard.setdefault(entry.shard, []).append(entry.entry_id)
        pipeline = self._redis.pipeline(transaction=False)
        for shard, ids in by_shard.items():
            pipeline.xdel(outbox_key(shard), *ids)
        if by_shard:
            await self._lua.answer(pipeline.execute())

    async def pending(self) -> int:
        """How many entries wait.

        Raises:
            StoreLost: Redis did not answer.
        """
        lengths = [length for length in await self._lengths() if isinstance(length, int)]
        if len(lengths) < SHARDS:
            raise StoreLost("Redis does not tell of every shard what is in the outbox.")
        return sum(lengths)

    async def _lengths(self) -> list[int | Exception]:
        pipeline = self._redis.pipeline(transaction=False)
        for shard in range(SHARDS):
            pipeline.xlen(outbox_key(shard))
        lengths: list[int | Exception] = await self._lua.answer(pipeline.execute(raise_on_error=False))
        return lengths


def _entry(shard: int, entry_id: bytes, fields: Mapping[bytes, bytes]) -> OutboxEntry:
    return OutboxEntry(
        shard=shard,
        entry_id=entry_id.decode(),
        record=json.loads(fields[b"record"]),
        is_counted=fields[b"counted"] == b"1",
        is_late=fields[b"late"] == b"1",
    )
