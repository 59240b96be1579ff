"""The limiter's contract in plain Python: for one worker while Redis is away, and the model in tests."""

import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from scalix_callbacks.core.limits import (
    ATTEMPTS_WITHIN_S,
    HELD_RETRY_S,
    LEAST_OUTPUT_TOKENS,
    MAX_ATTEMPTS,
    Admitted,
    Ask,
    Attempt,
    Counter,
    Decision,
    Denied,
    RecordOfAbandoned,
    Settled,
    Standing,
)
from scalix_callbacks.core.tiers import Unit
from scalix_callbacks.store.errors import StoreLost
from scalix_callbacks.store.keys import check_worker_id, shard_of
from scalix_callbacks.store.limiter import LATE_S, LEASE_S
from scalix_callbacks.store.memory_store import BARRED, Hold, MemoryStore, OpenCall, Request, Window
from scalix_callbacks.store.outbox import OutboxEntry
from scalix_callbacks.store.words import exact

MOST_ONLY_COUNTED = 2**43
"""The most that is held where nothing is limited; as in `scripts/admit.lua`."""
MAX_RECORDS = 100_000
_MS = 1_000

_log = logging.getLogger("scalix.store")


class MemoryLimiter:
    """The limiter of one worker; the methods are those of `RedisLimiter`, and never wait.

    Args:
        now: the clock, Unix time.
        elapsed: seconds that only grow.
    """

    def __init__(
        self,
        store: MemoryStore,
        worker_id: str,
        record_of_abandoned: RecordOfAbandoned,
        *,
        now: Callable[[], float] = time.time,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._worker_id = check_worker_id(worker_id)
        self._record_of_abandoned = record_of_abandoned
        self._now = now
        self._elapsed = elapsed
        self._shards: set[int] = set()

    async def start(self) -> None:
        """Nothing to check."""

    # --- calls -------------------------------------------------------------------------------

    async def admit(self, ask: Ask, *, now_s: float | None = None) -> Decision:
        now_ms = self._ms(now_s)
        shard = shard_of(ask.account_id)
        self._shards.add(shard)
        if self._ended(ask.call_id) is not None:
            raise StoreLost("The call was released before its admission came through.")
        calls = self._store.open.get((shard, self._worker_id), {})
        if ask.call_id in calls:
            standings = self._standings(ask.account_id, ask.counters, now_ms)
            return Admitted(calls[ask.call_id].output_tokens, standings, now_ms / _MS)

        request = self._joinable(ask, now_ms)
        if (denied := self._refusal(ask, request, now_ms)) is not None:
            return denied
        shadowed = self._shadowed(ask, request, now_ms)
        call = self._hold(ask, request, now_ms)
        self._store.open.setdefault((shard, self._worker_id), {})[ask.call_id] = call
        lease = self._store.leases_ms.get((shard, self._worker_id))
        if lease is None or lease < now_ms + LEASE_S * _MS // 2:
            self._store.leases_ms[shard, self._worker_id] = now_ms + LEASE_S * _MS
        self._store.keep_bounds(now_ms)
        standings = self._standings(ask.account_id, ask.counters, now_ms)
        return Admitted(call.output_tokens, standings, now_ms / _MS, shadowed)

    async def settle(
        self,
        ask: Ask,
        *,
        is_counted: bool,
        tokens: int,
        nano_usd: int = 0,
        record: Mapping[str, Any] | None,
        now_s: float | None = None,
    ) -> Settled | None:
        """As `RedisLimiter.settle`; `record` None: it is recorded elsewhere."""
        used = {Unit.TOKENS: exact(tokens), Unit.USD: exact(nano_usd)}
        now_ms = self._ms(now_s)
        call = self._open_calls(ask).pop(ask.call_id, None)
        if call is not None:
            return self._end(ask.account_id, call, is_counted, used, record, now_ms)
        call = self._ended(ask.call_id)
        if call is None or call is BARRED:
            return None
        del self._store.ended[ask.call_id]
        return self._end(ask.account_id, call, is_counted, used, record, now_ms, is_late=True)

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
        if ask.call_id in self._open_calls(ask) or self._ended(ask.call_id) is not None:
            settled = await self.settle(
                ask, is_counted=is_counted, tokens=tokens, nano_usd=nano_usd, record=record, now_s=now_s
            )
        else:
            now_ms = self._ms(now_s)
            standings = self._standings(ask.account_id, ask.counters, now_ms)
            holds = [Hold(s.counter, round(s.started_at_s * _MS), 0, 0) for s in standings]
            used = {Unit.TOKENS: exact(tokens), Unit.USD: exact(nano_usd)}
            call = OpenCall(ask.account_id, None, None, None, holds, "")
            settled = self._end(ask.account_id, call, is_counted, used, record, now_ms)
        if settled is not None:
            self._leave(ask.call_id, BARRED)
        return settled

    async def release_unknown(
        self, ask: Ask, *, record: Mapping[str, Any], now_s: float | None = None
    ) -> None:
        call = self._open_calls(ask).pop(ask.call_id, None)
        if call is not None:
            self._end(ask.account_id, call, False, {}, None, self._ms(now_s))
        elif self._ended(ask.call_id) is None:
            self._leave(ask.call_id, BARRED)
        else:
            await self.settle(ask, is_counted=False, tokens=0, record=record, now_s=now_s)

    async def release(self, *, now_s: float | None = None) -> None:
        """Nothing is unknown: what is asked here is answered."""

    async def standings(
        self, account_id: str, counters: Sequence[Counter], *, now_s: float | None = None
    ) -> tuple[Standing, ...]:
        return self._standings(account_id, counters, self._ms(now_s))

    async def reset(self, account_id: str) -> int:
        windows = self._store.accounts.get(account_id, {})
        count = sum(window.used > 0 for window in windows.values())
        for counter_id, window in list(windows.items()):
            if window.held:
                window.used = 0
            else:
                del windows[counter_id]
        return count

    # --- leases ------------------------------------------------------------------------------

    async def renew(self, *, now_s: float | None = None) -> None:
        now_ms = self._ms(now_s)
        for shard in self._shards:
            key = (shard, self._worker_id)
            self._store.leases_ms[key] = max(self._store.leases_ms.get(key, 0), now_ms + LEASE_S * _MS)
        self._shards = {shard for shard in self._shards if self._store.open.get((shard, self._worker_id))}

    async def reap(self, *, now_s: float | None = None) -> int:
        now_ms = self._ms(now_s)
        reaped = 0
        for (shard, worker_id), lease_ms in list(self._store.leases_ms.items()):
            if worker_id == self._worker_id or lease_ms > now_ms:
                continue
            calls = self._store.open.pop((shard, worker_id), None)
            if not calls:
                del self._store.leases_ms[shard, worker_id]
                continue
            for call_id, call in calls.items():
                windows = tuple(
                    Standing(hold.counter, hold.start_ms / _MS, hold.base, 0) for hold in call.holds
                )
                record = self._record_of_abandoned(json.loads(call.memo), windows)
                self._end(call.account_id, call, False, None, record, now_ms)
                self._leave(call_id, call)
                reaped += 1
        return reaped

    # --- outbox ------------------------------------------------------------------------------

    async def read_outbox(self, limit: int) -> list[OutboxEntry]:
        return list(self._store.outbox.values())[:limit]

    async def acknowledge(self, entries: Iterable[OutboxEntry]) -> None:
        for entry in entries:
            self._store.outbox.pop((entry.shard, entry.entry_id), None)

    async def pending(self) -> int:
        return len(self._store.outbox)

    async def reservations_held(self) -> int:
        return sum(map(len, self._store.open.values()))

    # --- admitting ---------------------------------------------------------------------------

    def _joinable(self, ask: Ask, now_ms: int) -> Request | None:
        """The request this is an attempt of, new or there; None: the call is a request of its own."""
        attempt = ask.attempt
        if attempt is None or not 1 <= attempt.number <= MAX_ATTEMPTS:
            return None
        request = self._store.requests.get((ask.account_id, attempt.request))
        if request is None or (request.open == 0 and now_ms >= request.until_ms):
            return Request(attempt.body_hash, now_ms + ATTEMPTS_WITHIN_S * _MS)
        return request if _may_join(request, attempt, now_ms) else None

    def _refusal(self, ask: Ask, request: Request | None, now_ms: int) -> Denied | None:
        standings = self._standings(ask.account_id, ask.counters, now_ms)
        own = [standing for standing in standings if not _is_shared(standing.counter, request)]
        limited = [standing for standing in own if standing.counter.amount is not None]

        def denied(by: Counter, retry_at_s: float | None = None, **why: bool) -> Denied:
            retry_s = None if retry_at_s is None else (round(retry_at_s * _MS) - now_ms) / _MS
            return Denied(by, standings, now_ms / _MS, HELD_RETRY_S if why.get("is_held") else retry_s, **why)

        def last(of: list[Standing]) -> Standing:
            return max(of, key=lambda standing: standing.resets_at_s)

        never = [s for s in limited if _need(ask, s.counter) > (s.counter.amount or 0)]
        for standing in never:
            amount = standing.counter.amount or 0
            if standing.counter.unit is Unit.TOKENS and ask.prompt_tokens > amount > 0:
                return denied(standing.counter, is_too_large=True)
        if never:
            return denied(never[0].counter)
        # Requests in flight count as made: they are given back only when they fail.
        full = [s for s in limited if _need(ask, s.counter) > _left(s, with_held=_is_request(s.counter))]
        if full:
            retry_at_s = last(full).resets_at_s
            if request is not None and retry_at_s * _MS >= request.until_ms:
                # By then the request takes no more attempts; this one will need room of its own.
                shared = [s for s in standings if s not in own and s.counter.amount is not None]
                retry_at_s = max([retry_at_s, *(s.resets_at_s for s in shared if _left(s) < 1)])
            return denied(last(full).counter, retry_at_s)
        held = [s for s in limited if _need(ask, s.counter) > _left(s)]
        return denied(last(held).counter, is_held=True) if held else None

    def _shadowed(self, ask: Ask, request: Request | None, now_ms: int) -> tuple[Counter, ...]:
        """Whose limits in shadow would refuse it, each by itself."""
        return tuple(
            standing.counter
            for standing in self._standings(ask.account_id, ask.counters, now_ms)
            if standing.counter.shadow is not None
            and not _is_shared(standing.counter, request)
            and _need(ask, standing.counter) > standing.counter.shadow - standing.used - standing.held
        )

    def _hold(self, ask: Ask, request: Request | None, now_ms: int) -> OpenCall:
        standings = self._standings(ask.account_id, ask.counters, now_ms)
        output = None if ask.output_tokens is None else exact(ask.output_tokens)
        for standing in standings:
            base, per_output = ask.holds(standing.counter.unit)
            if standing.counter.amount is not None and per_output:
                most = (_left(standing) - base) // per_output
                output = most if output is None else min(output, most)
        holds = []
        if request is not None and not request.is_held:
            request.starts_ms = {}  # taken again, in other windows, maybe of another tier
        for standing in standings:
            counter = standing.counter
            base, per_output = ask.holds(counter.unit)
            held = base + per_output * (output or 0)
            if counter.amount is None:
                base, held = min(base, MOST_ONLY_COUNTED), min(held, MOST_ONLY_COUNTED)
            start_ms = round(standing.started_at_s * _MS)
            is_shared = _is_shared(counter, request)
            if held and not is_shared:
                self._window(ask.account_id, counter, start_ms).held += held
            if request is not None and _is_request(counter):
                held = 0
                if not is_shared:
                    request.starts_ms[counter.id] = start_ms
            holds.append(Hold(counter, start_ms, held, 0 if _is_request(counter) else base))
        if request is not None and ask.attempt is not None:
            request.numbers.add(ask.attempt.number)
            request.open += 1
            request.is_held = True
            self._store.requests[ask.account_id, ask.attempt.request] = request
        return OpenCall(
            ask.account_id, output, ask.attempt, request, holds, json.dumps(ask.memo, default=dict)
        )

    # --- settling ----------------------------------------------------------------------------

    def _end(
        self,
        account_id: str,
        call: OpenCall,
        is_counted: bool,
        used: Mapping[Unit, int] | None,
        record: Mapping[str, Any] | None,
        now_ms: int,
        *,
        is_late: bool = False,
    ) -> Settled:
        """`used` None: what was estimated; `record` None: there is none."""
        request, says_counted = self._request_of(call), is_counted
        if request is not None:
            is_counted = self._end_attempt(call, request, is_counted, is_late, now_ms)
        for hold in call.holds:
            if _is_request(hold.counter):
                amount = int(is_counted and request is None)
            else:
                amount = hold.base if used is None else used.get(hold.counter.unit, 0)
            self._change(
                account_id, hold.counter.id, hold.start_ms, amount - hold.charged, -hold.held, now_ms
            )
            hold.held, hold.charged = 0, amount
        if record is not None:
            # Its worker may have handed it in as one that counts.
            replaces = is_late or is_counted != says_counted
            self._put_out(shard_of(account_id), record, is_counted, replaces)
        counters = [hold.counter for hold in call.holds]
        return Settled(is_counted, self._standings(account_id, counters, now_ms))

    def _end_attempt(
        self, call: OpenCall, request: Request, is_counted: bool, is_late: bool, now_ms: int
    ) -> bool:
        """Whether it is this attempt that counts as the request."""
        if not is_late:
            request.open -= 1
        is_first = is_counted and not request.is_used
        is_over = request.open == 0 and not is_counted
        held = -1 if request.is_held and (is_first or is_over) else 0
        for id, start_ms in request.starts_ms.items():
            self._change(call.account_id, id, start_ms, int(is_first), held, now_ms)
        if is_first or is_over:
            request.is_held = False
        request.is_used |= is_counted
        if request.open == 0 and now_ms >= request.until_ms and call.attempt is not None:
            del self._store.requests[call.account_id, call.attempt.request]
        return is_first

    def _change(
        self, account_id: str, counter_id: str, start_ms: int, used: int, held: int, now_ms: int
    ) -> None:
        """Adds to a counter, in the window that began at `start_ms`."""
        if not used and not held:
            return
        windows = self._store.accounts.setdefault(account_id, {})
        window = windows.get(counter_id)
        if window is None or window.start_ms != start_ms:
            if used <= 0 or _end_ms(counter_id, start_ms) <= now_ms:
                return
            # Its own window emptied: it is taken up again, unless another one runs.
            if window is None or _end_ms(counter_id, window.start_ms) <= now_ms:
                window = windows[counter_id] = Window(start_ms)
            held = 0
        window.used, window.held = max(window.used + used, 0), max(window.held + held, 0)
        if not window.used and not window.held:
            del windows[counter_id]

    def _request_of(self, call: OpenCall) -> Request | None:
        if call.request is None or call.attempt is None:
            return None
        stored = self._store.requests.get((call.account_id, call.attempt.request))
        return call.request if stored is call.request else None

    def _put_out(self, shard: int, record: Mapping[str, Any], is_counted: bool, is_late: bool) -> None:
        self._store.last_entry += 1
        entry_id = f"0-{self._store.last_entry}"
        copied = json.loads(json.dumps(record, default=dict))
        self._store.outbox[shard, entry_id] = OutboxEntry(shard, entry_id, copied, is_counted, is_late)
        if len(self._store.outbox) > MAX_RECORDS:
            self._store.outbox.pop(next(iter(self._store.outbox)))
            _log.error("More than %d records wait; the oldest is lost.", MAX_RECORDS)

    # --- state -------------------------------------------------------------------------------

    def _standings(self, account_id: str, counters: Sequence[Counter], now_ms: int) -> tuple[Standing, ...]:
        windows = self._store.accounts.get(account_id, {})
        standings = []
        for counter in counters:
            window = windows.get(counter.id)
            if window is None or _end_ms(counter.id, window.start_ms) <= now_ms:
                window = Window(now_ms)
            standings.append(Standing(counter, window.start_ms / _MS, window.used, window.held))
        return tuple(standings)

    def _window(self, account_id: str, counter: Counter, start_ms: int) -> Window:
        """The one that began at `start_ms`, or a new one in place of what is over."""
        windows = self._store.accounts.setdefault(account_id, {})
        window = windows.get(counter.id)
        if window is None or window.start_ms != start_ms:
            window = windows[counter.id] = Window(start_ms)
        return window

    def _open_calls(self, ask: Ask) -> dict[str, OpenCall]:
        return self._store.open.get((shard_of(ask.account_id), self._worker_id), {})

    def _ended(self, call_id: str) -> OpenCall | None:
        until_s, call = self._store.ended.get(call_id, (0.0, None))
        return call if call is not None and self._elapsed() < until_s else None

    def _leave(self, call_id: str, call: OpenCall) -> None:
        self._store.ended[call_id] = (self._elapsed() + LATE_S, call)

    def _ms(self, now_s: float | None) -> int:
        return round((self._now() if now_s is None else now_s) * _MS)


def _may_join(request: Request, attempt: Attempt, now_ms: int) -> bool:
    return (
        now_ms < request.until_ms
        and request.body_hash == attempt.body_hash
        and not request.is_used
        and attempt.number not in request.numbers
    )


def _is_request(counter: Counter) -> bool:
    return counter.unit is Unit.REQUESTS


def _is_shared(counter: Counter, request: Request | None) -> bool:
    """Whether another attempt of the same request holds this counter already."""
    return request is not None and request.is_held and counter.id in request.starts_ms


def _need(ask: Ask, counter: Counter) -> int:
    """The least that must be left; what is used up is closed also to what asks nothing of it."""
    base, per_output = ask.holds(counter.unit)
    if counter.amount is None:
        base = min(base, MOST_ONLY_COUNTED)
    output = LEAST_OUTPUT_TOKENS if ask.output_tokens is None else min(ask.output_tokens, LEAST_OUTPUT_TOKENS)
    return max(base + per_output * output, 1)


def _left(standing: Standing, *, with_held: bool = True) -> int:
    assert standing.counter.amount is not None
    return standing.counter.amount - standing.used - (standing.held if with_held else 0)


def _end_ms(counter_id: str, start_ms: int) -> int:
    return start_ms + int(counter_id.rpartition(":")[2]) * _MS
