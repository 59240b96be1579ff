"""Limits, reservations and their settlement in Redis, exact over any number of workers and machines."""

import asyncio
import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

import orjson

from scalix_callbacks.core.limits import (
    ATTEMPTS_WITHIN_S,
    LEAST_OUTPUT_TOKENS,
    MAX_ATTEMPTS,
    Ask,
    Attempt,
    Counter,
    Decision,
    Denied,
    RecordOfAbandoned,
    Settled,
    Standing,
)
from scalix_callbacks.store import keys, lua, words
from scalix_callbacks.store.connection import TIMEOUT_S, Client
from scalix_callbacks.store.errors import ShardsDiffer, StoreLost
from scalix_callbacks.store.outbox import OutboxEntry, RedisOutbox

RENEW_S = 5.0
"""How often `renew` and `reap` are to be called."""
LEASE_S = 20
ROUNDS_SKIPPED = 2
"""Of `reap`, after Redis was away: each worker finds out up to one round later that it is back."""
LATE_S = 3_600
"""How long a call that was given up can still be settled by its worker."""
KEEP_S = 30 * 86_400
"""How long records and open calls wait for someone to come back for them."""
MAX_UNKNOWN = 10_000
"""Admissions to be released; the oldest beyond that are not barred, should they yet come through."""
MAX_REAPED = 256
"""Calls given up in one round."""
_LAPSED_PER_SHARD = 16
_MS = 1_000

_log = logging.getLogger("scalix.store")


@dataclass(frozen=True, slots=True)
class _End:
    """How a call ends, as `scripts/settle.lua` is told; `record` empty: there is none."""

    how: str
    record: str = ""
    is_counted: bool = False
    tokens: int = 0
    nano_usd: int = 0
    counters: str = ""


class RedisLimiter:
    """The limiter of one worker.

    Args:
        redis: made by `store.connection.connect`; answers in bytes, and says no command twice by itself.
        worker_id: of this process alone, never used again after it ended; letters, digits, `.`, `-`, `_`.
        record_of_abandoned: makes the record of a call whose worker died.
        timeout_s: how long any command may take.

    Every method raises `StoreLost` when Redis does not answer in time. `now_s` is the moment, Unix time;
    None: Redis' own clock.
    """

    def __init__(
        self,
        redis: Client,
        worker_id: str,
        record_of_abandoned: RecordOfAbandoned,
        *,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._redis = redis
        self._lua = lua.Lua(redis, timeout_s)
        self._worker_id = keys.check_worker_id(worker_id)
        self._record_of_abandoned = record_of_abandoned
        self._outbox = RedisOutbox(redis, timeout_s)
        self._shards: set[int] = set()  # where this worker may have open calls
        self._calls: defaultdict[int, set[str]] = defaultdict(set)  # by shard, those it has not ended
        self._unknown: dict[str, tuple[Ask, _End]] = {}
        self._rounds_to_skip = 0

    async def start(self) -> None:
        """Checks that Redis holds the data of a gateway with as many shards, and opens the ways to it.

        Raises:
            ShardsDiffer: it does not.
            StoreLost: Redis did not answer.
        """
        await self._lua.answer(self._redis.set(keys.SHARDS_KEY, keys.SHARDS, nx=True, ex=KEEP_S))
        stored = await self._lua.answer(self._redis.get(keys.SHARDS_KEY))
        told = stored.decode("ascii", "replace") if isinstance(stored, bytes) else str(stored)
        if told != str(keys.SHARDS):
            raise ShardsDiffer(
                f"This Redis holds the data of a gateway with {told} shards, this one has {keys.SHARDS}."
                " Use another Redis, or the version that filled this one."
            )
        # Now nobody is in a hurry. A worker that is met by a hundred calls at once has no time to connect,
        # and would go on as if Redis was lost. Of a cluster each server has some shard.
        for shard in range(keys.SHARDS):
            await self._lua.run(lua.STANDINGS, (keys.ended_key(shard, self._worker_id),), "")

    # --- calls -------------------------------------------------------------------------------

    async def admit(self, ask: Ask, *, now_s: float | None = None) -> Decision:
        """Holds what the call may use on all its counters at once, or refuses and takes nothing.

        Raises:
            StoreLost: whether it was admitted is unknown; `release_unknown`, or `drain`, must follow.
        """
        shard = keys.shard_of(ask.account_id)
        counters_key = keys.counters_key(ask.account_id)
        attempt = _grouped(ask.attempt)
        self._shards.add(shard)
        self._calls[shard].add(ask.call_id)
        answer = await self._lua.run(
            lua.ADMIT,
            (
                counters_key,
                keys.open_calls_key(shard, self._worker_id),
                keys.leases_key(shard),
                counters_key if attempt is None else keys.request_key(ask.account_id, attempt.request),
                keys.ended_key(shard, ask.call_id),
            ),
            ask.call_id,
            self._worker_id,
            words.milliseconds(now_s),
            "" if ask.output_tokens is None else words.exact(ask.output_tokens),
            LEAST_OUTPUT_TOKENS,
            words.asked(ask),
            _json(ask.memo),
            "" if attempt is None else attempt.number,
            "" if attempt is None else keys.digest(attempt.body_hash),
            ATTEMPTS_WITHIN_S * _MS,
            LEASE_S * _MS,
            KEEP_S * _MS,
        )
        decision = words.decision(answer, ask.counters)
        if decision is None:
            raise StoreLost("The call was released before its admission came through.")
        if isinstance(decision, Denied):
            self._calls[shard].discard(ask.call_id)
        return decision

    async def settle(
        self,
        ask: Ask,
        *,
        is_counted: bool,
        tokens: int,
        nano_usd: int = 0,
        record: Mapping[str, Any],
        now_s: float | None = None,
    ) -> Settled | None:
        """Replaces what the call held by what it used, and puts its record into the outbox; once.

        Args:
            is_counted: whether it counts as a request; of several attempts the first that says so does.

        Returns:
            None when nothing is open under this id: it was settled already.

        Raises:
            StoreLost: it may be settled or not; saying it again is safe.
        """
        return await self._settle(ask, _End("settle", _json(record), is_counted, tokens, nano_usd), now_s)

    async def drain(
        self,
        ask: Ask,
        *,
        is_counted: bool,
        tokens: int,
        nano_usd: int = 0,
        record: Mapping[str, Any],
        now_s: float | None = None,
    ) -> Settled | None:
        """Counts a call that went on while the store was lost, also beyond the limits; once.

        Settles it as usual should its admission have come through after all.

        Returns:
            None: it was settled already.

        Raises:
            StoreLost: it may be counted or not; saying it again within an hour is safe.
        """
        end = _End("drain", _json(record), is_counted, tokens, nano_usd, words.counted(ask.counters))
        return await self._settle(ask, end, now_s)

    async def release_unknown(
        self, ask: Ask, *, record: Mapping[str, Any], now_s: float | None = None
    ) -> None:
        """Gives back what a call holds whose admission got no answer; nothing is recorded.

        Never raises StoreLost: `release` tries again until Redis has heard it. An admission that comes
        through only later finds itself barred, for an hour.

        Args:
            record: of a call that was refused; takes the place of another one alone: that of a call given
                up, should its admission have come through and this worker been taken for dead.
        """
        self._unknown[ask.call_id] = ask, (end := _End("release", _json(record)))
        if len(self._unknown) > MAX_UNKNOWN:
            oldest, _ = self._unknown.pop(next(iter(self._unknown)))
            self._calls[keys.shard_of(oldest.account_id)].discard(oldest.call_id)
            _log.error("More than %d admissions are unknown; the oldest is not barred.", MAX_UNKNOWN)
        try:
            await self._release(ask, end, now_s)
        except StoreLost:
            _log.info("An admission that got no answer will be released when Redis is back.")

    async def release(self, *, now_s: float | None = None) -> None:
        """Releases what is unknown still, as far as Redis hears it; `renew` does so, too."""
        by_shard = defaultdict(list)
        for ask, end in self._unknown.values():
            by_shard[keys.shard_of(ask.account_id)].append((ask, end))
        # At once: of a cluster, a server that is lost must not hold up what the others can hear.
        await asyncio.gather(*(self._release_each(unknown, now_s) for unknown in by_shard.values()))

    async def standings(
        self, account_id: str, counters: Sequence[Counter], *, now_s: float | None = None
    ) -> tuple[Standing, ...]:
        """The account's counters as they are, in the order asked; a counter no call is kept in starts now."""
        answer = await self._lua.run(
            lua.STANDINGS,
            (keys.counters_key(account_id),),
            words.milliseconds(now_s),
            *(counter.id for counter in counters),
        )
        return words.standings(answer.split()[1:], counters)

    async def reset(self, account_id: str) -> int:
        """Gives the account fresh windows; returns how many counters had something in them.

        What open calls hold stays held, and counts when they end.
        """
        return int(await self._lua.run(lua.RESET, (keys.counters_key(account_id),)))

    async def _release_each(self, unknown: Iterable[tuple[Ask, _End]], now_s: float | None) -> None:
        with suppress(StoreLost):
            for ask, end in unknown:
                await self._release(ask, end, now_s)

    async def _release(self, ask: Ask, end: _End, now_s: float | None) -> None:
        await self._settle(ask, end, now_s)
        self._unknown.pop(ask.call_id, None)

    async def _settle(self, ask: Ask, end: _End, now_s: float | None) -> Settled | None:
        shard, counters_key = keys.shard_of(ask.account_id), keys.counters_key(ask.account_id)
        attempt = _grouped(ask.attempt)
        group_key = None if attempt is None else keys.request_key(ask.account_id, attempt.request)
        settled = await self._end(shard, self._worker_id, ask.call_id, counters_key, group_key, end, now_s)
        self._calls[shard].discard(ask.call_id)
        return settled

    async def _end(
        self,
        shard: int,
        worker_id: str,
        call_id: str,
        counters_key: str,
        group_key: str | None,
        end: _End,
        now_s: float | None,
    ) -> Settled | None:
        answer = await self._lua.run(
            lua.SETTLE,
            (
                counters_key,
                keys.open_calls_key(shard, worker_id),
                keys.outbox_key(shard),
                group_key or counters_key,
                keys.ended_key(shard, call_id),
                keys.leases_key(shard),
            ),
            call_id,
            worker_id,
            words.milliseconds(now_s),
            end.how,
            int(end.is_counted),
            words.exact(end.tokens),
            words.exact(end.nano_usd),
            end.record,
            LATE_S * _MS,
            KEEP_S * _MS,
            end.counters,
        )
        return words.settled(answer)

    # --- leases ------------------------------------------------------------------------------

    async def renew(self, *, now_s: float | None = None) -> None:
        """Tells the other workers that this one lives; every `RENEW_S`. Also releases what nobody holds."""
        shards, self._shards = self._shards, set()
        try:
            held = await self._renew(sorted(shards), now_s)
        except StoreLost:
            self._shards |= shards
            self._rounds_to_skip = ROUNDS_SKIPPED
            await self.release(now_s=now_s)
            raise
        # A call that was admitted meanwhile has put its shard back itself.
        self._shards |= {shard for shard, count in held.items() if count}
        await self.release(now_s=now_s)
        for shard, count in held.items():
            if count > len(self._calls[shard]):
                await self._release_strays(shard, now_s)

    async def _release_strays(self, shard: int, now_s: float | None) -> None:
        """Gives back what calls hold that this worker has ended.

        A Redis that lost its last moment, such as a replica that takes over, has them open again. Should one
        of them just have ended, it is not there any more and nothing happens.
        """
        open_calls_key = keys.open_calls_key(shard, self._worker_id)
        names = cast("list[bytes]", await self._lua.answer(self._redis.hkeys(open_calls_key)))
        for call_id in {name.decode() for name in names} - self._calls[shard]:
            stored = await self._lua.answer(self._redis.hget(open_calls_key, call_id))
            if isinstance(stored, bytes):
                keys_of, end = words.open_call(stored), _End("release")
                counters_key, group_key = keys_of.counters_key, keys_of.group_key
                if await self._end(shard, self._worker_id, call_id, counters_key, group_key, end, now_s):
                    _log.warning("Redis held a call again that had ended; it is released.")

    async def _renew(self, shards: Sequence[int], now_s: float | None) -> dict[int, int]:
        lease_ms = await self._now_ms(now_s) + LEASE_S * _MS
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.expire(keys.SHARDS_KEY, KEEP_S)
        for shard in shards:
            open_calls = keys.open_calls_key(shard, self._worker_id)
            pipeline.hlen(open_calls)
            pipeline.zadd(keys.leases_key(shard), {self._worker_id: lease_ms}, gt=True)
            pipeline.expire(keys.leases_key(shard), KEEP_S)
            pipeline.expire(open_calls, KEEP_S)
        _, *answers = await self._lua.answer(pipeline.execute())
        return dict(zip(shards, answers[::4], strict=True))

    async def reap(self, *, now_s: float | None = None) -> int:
        """Gives up the calls of workers whose lease lapsed: at most `MAX_REAPED`; every `RENEW_S`.

        Each ends as abandoned: its request is given back, its estimated prompt is charged. Its worker may
        still settle it for an hour, should it only have stalled; then with the difference.

        Returns:
            How many calls were given up.
        """
        if self._rounds_to_skip:
            # Redis was away, and every lease may have lapsed: let the others renew theirs first.
            self._rounds_to_skip -= 1
            return 0
        reaped = 0
        now_ms = await self._now_ms(now_s)
        for shard, worker_id in await self._lapsed(now_ms):
            open_calls_key = keys.open_calls_key(shard, worker_id)
            scan = await self._lua.answer(self._redis.hscan(open_calls_key, 0, count=MAX_REAPED))
            calls = cast("dict[bytes, bytes]", scan[1])
            if not calls:
                key = (keys.leases_key(shard), open_calls_key)
                await self._lua.run(lua.RETIRE, key, worker_id, words.milliseconds(now_s))
            for call_id, stored in calls.items():
                if reaped == MAX_REAPED:
                    return reaped
                reaped += await self._give_up(shard, worker_id, call_id.decode(), stored, now_s)
        return reaped

    async def _lapsed(self, now_ms: int) -> list[tuple[int, str]]:
        pipeline = self._redis.pipeline(transaction=False)
        for shard in range(keys.SHARDS):
            pipeline.zrangebyscore(keys.leases_key(shard), "-inf", now_ms, start=0, num=_LAPSED_PER_SHARD)
        by_shard: list[list[bytes]] = await self._lua.answer(pipeline.execute())
        lapsed = [(shard, id.decode()) for shard, ids in enumerate(by_shard) for id in ids]
        # This worker is alive, whatever its lease says.
        return [(shard, worker_id) for shard, worker_id in lapsed if worker_id != self._worker_id]

    async def _give_up(
        self, shard: int, worker_id: str, call_id: str, stored: bytes, now_s: float | None
    ) -> int:
        call = words.open_call(stored)
        try:
            end = _End("abandon", _json(self._record_of_abandoned(json.loads(call.memo), call.windows)))
        except ValueError as error:
            _log.error(
                "A dead worker's call can be given up by a worker of its own version only (%s).", error
            )
            return 0
        settled = await self._end(shard, worker_id, call_id, call.counters_key, call.group_key, end, now_s)
        return 0 if settled is None else 1

    async def _now_ms(self, now_s: float | None) -> int:
        if now_s is not None:
            return round(now_s * _MS)
        seconds, microseconds = await self._lua.answer(self._redis.time())
        return int(seconds) * _MS + int(microseconds) // _MS

    # --- outbox ------------------------------------------------------------------------------

    async def read_outbox(self, limit: int) -> list[OutboxEntry]:
        """Up to `limit` records that wait for the ledger, oldest first within a shard."""
        return await self._outbox.read(limit)

    async def acknowledge(self, entries: Iterable[OutboxEntry]) -> None:
        """Forgets records that the ledger has."""
        await self._outbox.acknowledge(entries)

    async def pending(self) -> int:
        """How many records wait."""
        return await self._outbox.pending()

    async def reservations_held(self) -> int:
        """How many calls are open, over all workers."""
        pipeline = self._redis.pipeline(transaction=False)
        for shard in range(keys.SHARDS):
            pipeline.zrange(keys.leases_key(shard), 0, -1)
        by_shard: list[list[bytes]] = await self._lua.answer(pipeline.execute())
        pipeline = self._redis.pipeline(transaction=False)
        for shard, ids in enumerate(by_shard):
            for id in ids:
                pipeline.hlen(keys.open_calls_key(shard, id.decode()))
        return sum(await self._lua.answer(pipeline.execute())) if any(by_shard) else 0


def _grouped(attempt: Attempt | None) -> Attempt | None:
    """None for what is a request of its own anyway."""
    return attempt if attempt is not None and 1 <= attempt.number <= MAX_ATTEMPTS else None


def _json(value: Mapping[str, Any]) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        # Ids a client sent may hold lone surrogates, and counts of money more than 64 bits.
        return json.dumps(value, separators=(",", ":"), default=dict)
