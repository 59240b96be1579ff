"""From the outbox to the ledger: nothing lost, nothing twice, over every outbox and a real database."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete

from scalix_callbacks.core.limits import Attempt, Standing
from scalix_callbacks.core.record import Outcome
from scalix_callbacks.drain import MAX_BATCH, Drainer
from scalix_callbacks.kept import Kept
from scalix_callbacks.ledger.database import connect, writing
from scalix_callbacks.ledger.schema import usage_records
from scalix_callbacks.ledger.usage_records import UsageRecords
from scalix_callbacks.ledger.usage_sums import Span, UsageSums
from scalix_callbacks.store.connection import connect as connect_redis
from scalix_callbacks.store.limiter import LEASE_S, RedisLimiter
from scalix_callbacks.store.memory import MemoryLimiter
from scalix_callbacks.store.memory_store import MemoryStore
from scalix_callbacks.store.outbox import OutboxEntry
from tests.contract.world import NOON, REQUESTS_1D, REQUESTS_1H, Limiter, World
from tests.databases import make_tables
from tests.records import call_record

MANY = replace(REQUESTS_1H, amount=None)
RECORD = call_record(call_id="")


class Crash(Exception):
    """What stands for the end of a worker at this very step."""


class Faulty:
    """An outbox and the ledger as one worker has them; `fault` names the step at which it dies.

    "before" a step it had no effect, "after" it it had; a half acknowledgement had it for the first entries.
    """

    def __init__(self, limiter: Limiter, records: UsageRecords, fault: str | None) -> None:
        self._limiter = limiter
        self._records = records
        self._fault = fault
        self.inserted = 0

    async def read_outbox(self, limit: int) -> list[OutboxEntry]:
        self._crash("before read")
        entries = await self._limiter.read_outbox(limit)
        self._crash("after read")
        return entries

    def insert(self, records: Sequence[tuple[Mapping[str, Any], bool]]) -> int:
        self._crash("before insert")
        if self._fault == "half insert":
            records = records[: len(records) // 2]
        inserted = self._records.insert(records)
        self.inserted += inserted
        self._crash("half insert")
        self._crash("after insert")
        return inserted

    async def acknowledge(self, entries: list[OutboxEntry]) -> None:
        self._crash("before acknowledge")
        if self._fault == "half acknowledge":
            entries = entries[: len(entries) // 2]
        await self._limiter.acknowledge(entries)
        self._crash("half acknowledge")
        self._crash("after acknowledge")

    async def drain_once(self) -> int:
        drainer = Drainer(self, self)
        try:
            return await drainer.drain_once()
        finally:
            drainer.close()

    def _crash(self, step: str) -> None:
        if self._fault == step:
            raise Crash(step)


def given_up(memo: Mapping[str, Any], windows: Sequence[Standing]) -> Mapping[str, Any]:
    """The record of a call whose worker died."""
    record = replace(RECORD, call_id=memo["call_id"], outcome=Outcome.ABANDONED, requests_counted=0)
    return record.to_json()


FAULTS = (
    *("before read", "after read", "before insert", "half insert", "after insert"),
    *("before acknowledge", "half acknowledge", "after acknowledge"),
)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = connect(database_url)
    make_tables(engine)
    yield engine
    engine.dispose()


@pytest.fixture(params=["redis", "memory"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """As that of the other tests here, with records the ledger can keep."""
    if request.param == "memory":
        store = MemoryStore()
        yield World(lambda worker: MemoryLimiter(store, worker, given_up))
        return
    redis = connect_redis(request.getfixturevalue("clean_redis").url)
    yield World(lambda worker: RedisLimiter(redis, worker, given_up))
    await redis.aclose()


@pytest.fixture
def records(engine: Engine) -> UsageRecords:
    return UsageRecords(engine)


async def settled(world: World, *calls: str, **how: Any) -> None:
    """Calls of several accounts, and so of several shards, that ended."""
    for call in calls:
        await world.admit(call, MANY, at=None, account=f"user-{call}")
        await world.settle(call, at=None, record=replace(RECORD, call_id=call).to_json(), **how)


def kept(records: UsageRecords) -> list[str]:
    return [record["call_id"] for record in records.page(limit=1_000)[0]]


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_worker_may_die_at_any_step(world: World, records: UsageRecords, fault: str) -> None:
    """The next one brings every record to the ledger, each once, and the outbox is empty."""
    await settled(world, *"abcdef")
    dying, next_one = Faulty(world.worker(), records, fault), Faulty(world.worker("two"), records, None)
    with pytest.raises(Crash, match=fault):
        await dying.drain_once()
    await next_one.drain_once()

    assert [*"abcdef"] == kept(records)
    assert 6 == dying.inserted + next_one.inserted
    assert 0 == await world.worker().pending()


STEPS = st.one_of(
    st.tuples(st.sampled_from(["begin", "end"]), st.sampled_from([*"abcdefgh"])),
    st.tuples(st.just("drain"), st.sampled_from([*FAULTS, None])),
    st.just(("give up", None)),
)


@given(st.lists(STEPS, max_size=20))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_order_of_accidents_loses_or_repeats_a_call(
    engine: Engine, steps: list[tuple[str, str | None]]
) -> None:
    """Calls end, are given up and end late, and workers die while they drain, in any order."""
    with writing(engine) as connection:
        connection.execute(delete(usage_records))
    store = MemoryStore()
    world = World(lambda worker: MemoryLimiter(store, worker, given_up))
    records, limiter = UsageRecords(engine), world.worker("two")
    inserted, expected, is_open = 0, dict[str, str](), set[str]()
    for number, (kind, what) in enumerate(steps):
        at = number * 2.0 * LEASE_S
        match kind:
            case "begin" if what is not None and what not in {*expected, *is_open}:
                await world.admit(what, MANY, at=at, account=f"user-{what}")
                is_open.add(what)
            case "end" if what in is_open or expected.get(what or "") == "abandoned":
                assert what is not None
                ended = await world.settle(what, at=at, record=replace(RECORD, call_id=what).to_json())
                assert ended is not None
                is_open.discard(what)
                expected[what] = "ok"
            case "give up":
                await limiter.reap(now_s=at)
                expected |= dict.fromkeys(is_open, "abandoned")
                is_open.clear()
            case "drain":
                worker = Faulty(limiter, records, what)
                with suppress(Crash):
                    await worker.drain_once()
                inserted += worker.inserted
    last = Faulty(limiter, records, None)
    await last.drain_once()

    assert expected == {each["call_id"]: each["outcome"] for each in records.page()[0]}
    assert len(expected) == inserted + last.inserted


async def test_workers_may_drain_at_once(world: World, records: UsageRecords) -> None:
    """Four take the same entries at the same time; each is kept once."""
    await settled(world, *(f"c{number:02}" for number in range(60)))
    workers = [Faulty(world.worker(f"w{number}"), records, None) for number in range(4)]
    await asyncio.gather(*(worker.drain_once() for worker in workers))

    assert [f"c{number:02}" for number in range(60)] == kept(records)
    assert 60 == sum(worker.inserted for worker in workers)
    assert 0 == await world.worker().pending()


async def test_a_batch_that_is_cut_off_is_whole_the_next_time(world: World, records: UsageRecords) -> None:
    """Cancelled while the database writes: it is written, not acknowledged, and read again."""
    await settled(world, "a", "b")
    begun, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    class Slow:
        def insert(self, batch: Sequence[tuple[Mapping[str, Any], bool]]) -> int:
            loop.call_soon_threadsafe(begun.set)
            go_on.wait(30)
            return records.insert(batch)

    drainer = Drainer(world.worker(), Slow())
    task = asyncio.create_task(drainer.drain_once())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    waiting = await world.worker().pending()
    go_on.set()
    moved = await drainer.drain_once()  # waits for its turn behind the one that was cut off
    drainer.close()

    assert (2, 2, 0) == (waiting, moved, await world.worker().pending())
    assert ["a", "b"] == kept(records)


async def test_what_settling_decided_is_what_is_kept(world: World, records: UsageRecords) -> None:
    """Whether a call counts as a request is known only when it is settled, among the other attempts."""
    await settled(world, "a", is_counted=False)
    await settled(world, "b", is_counted=True)
    await Faulty(world.worker(), records, None).drain_once()

    assert [0, 1] == [record["requests_counted"] for record in records.page()[0]]


@pytest.mark.parametrize("drains_between", [False, True])
async def test_a_late_end_replaces_the_one_given_up(
    world: World, records: UsageRecords, drains_between: bool
) -> None:
    """Drained together or one after the other: the ledger tells how the call really ended."""
    ledger = Faulty(world.worker("two"), records, None)
    await world.admit("a", REQUESTS_1D, at=NOON)
    await world.worker("two").reap(now_s=NOON + 2 * LEASE_S)
    if drains_between:
        await ledger.drain_once()
        assert ["abandoned"] == [record["outcome"] for record in records.page()[0]]
    await world.settle("a", at=NOON + 3 * LEASE_S, record=replace(RECORD, call_id="a").to_json())
    await ledger.drain_once()

    assert [("a", "ok")] == [(record["call_id"], record["outcome"]) for record in records.page()[0]]


async def test_a_batch_has_a_bound(world: World, records: UsageRecords) -> None:
    """After an hour without the database the backlog comes in pieces."""
    limiter = world.worker()
    for number in range(MAX_BATCH + 1):
        await settled(world, f"c{number:03}")
    drainer = Drainer(limiter, records)

    assert [MAX_BATCH, 1, 0] == [await drainer.drain_once() for _ in range(3)]
    assert MAX_BATCH + 1 == len(kept(records))
    drainer.close()


@pytest.mark.parametrize("first", ["worker", "outbox"])
async def test_the_ledger_counts_as_a_request_what_the_counters_do(
    world: World, records: UsageRecords, first: str
) -> None:
    """Two attempts of one request end while Redis is away for so long that their worker hands them in itself.

    Which of them counts is known only when Redis hears of both.
    """
    ended = {call: replace(RECORD, call_id=call).to_json() for call in "ab"}
    kept, last = Kept(records), Faulty(world.worker(), records, None)
    for number, (call, record) in enumerate(ended.items(), start=1):
        await world.admit(call, MANY, at=None, attempt=Attempt("r", number, "body"))
        kept.keep(record)
    if first == "worker":
        kept.hand_in()
    for call, record in ended.items():
        await world.settle(call, at=None, record=record)
    await last.drain_once()
    if first == "outbox":
        kept.hand_in()
    kept.close()

    assert [(1, 0)] == await world.used_and_held(MANY, at=None)
    assert [("a", 1), ("b", 0)] == [(r["call_id"], r["requests_counted"]) for r in records.page()[0]]
    assert 1 == UsageSums(records._engine).total(Span()).requests
