"""Whatever of what is said to Redis is lost, heard without an answer, or heard late: all is counted once.

Workers as they are, with all that they do about a Redis that does not answer, over a connection to a real one
that loses commands and answers; and a ledger that fails before or after it has written.
"""

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import count
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError
from sqlalchemy import Engine, delete

from scalix_callbacks import metering
from scalix_callbacks.adrift import Adrift
from scalix_callbacks.core.bodies import Screened
from scalix_callbacks.core.breaker import Breaker
from scalix_callbacks.core.call import Call
from scalix_callbacks.core.caller import Caller, Role
from scalix_callbacks.core.errors import ErrorCategory, GatewayError
from scalix_callbacks.core.limits import Counter
from scalix_callbacks.core.money import nano_usd
from scalix_callbacks.core.pricing import Price, PriceTable, Rates
from scalix_callbacks.core.record import Outcome, record_of_abandoned
from scalix_callbacks.core.routes import Endpoint
from scalix_callbacks.core.tiers import DAY_S, Limit, Tier, TierTable, Unit
from scalix_callbacks.core.tiers import StoreLost as OnStoreLost
from scalix_callbacks.core.usage import Usage
from scalix_callbacks.drain import Drainer
from scalix_callbacks.ends import Ends
from scalix_callbacks.kept import HAND_IN_AFTER_S, Kept
from scalix_callbacks.ledger.database import connect, writing
from scalix_callbacks.ledger.schema import usage_daily, usage_records
from scalix_callbacks.ledger.usage_records import UsageRecords
from scalix_callbacks.ledger.usage_sums import Span, UsageSums
from scalix_callbacks.metering import Meter
from scalix_callbacks.store.connection import Client
from scalix_callbacks.store.errors import StoreLost
from scalix_callbacks.store.limiter import LEASE_S, RedisLimiter
from scalix_callbacks.store.memory import MemoryLimiter
from scalix_callbacks.store.memory_store import MemoryStore
from tests.contract.machine import OverRedis, try_out
from tests.contract.world import PATIENCE_S
from tests.databases import make_tables
from tests.redis_server import RedisServer, left_behind

LIMITS = (Limit(6, Unit.REQUESTS, DAY_S), Limit(2_000, Unit.TOKENS, DAY_S))
TIERS = TierTable(
    (
        Tier("free", ("*",), LIMITS, default_output_tokens=50),
        Tier("pro", ("*",), LIMITS, default_output_tokens=50, on_store_lost=OnStoreLost.ADMIT),
    )
)
USERS = {"ada": "pro", "ben": "free"}
COUNTERS = (
    Counter(Unit.REQUESTS, DAY_S, None),
    Counter(Unit.TOKENS, DAY_S, None),
    Counter(Unit.USD, 30 * DAY_S, None),
)
PRICES = PriceTable((Price("m", Rates(2_000 * 10**9, 10**12, 3_000 * 10**9, 5)),))
BODY = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}
WORKERS = ("one", "two")
LOSSES = ("lost", "unheard", "late")
FATES = {"good": ("heard",), "fair": (*["heard"] * 6, *LOSSES), "bad": LOSSES}
"""What becomes of a command, by the way to Redis."""


class Lossy:
    """The way of the scripts to Redis.

    Attributes:
        way: how it is; see `FATES`.
        late: commands that are still on their way, and whose sender was told that the connection is lost;
            by call and number.
    """

    def __init__(self, redis: Client) -> None:
        self._lane = redis.lane
        self._said = dict[str, int]()
        self.seed = 0
        self.way = "good"
        self.late: dict[str, Sequence[str | int | bytes]] = {}

    async def say(self, *command: str | int | bytes) -> Any:
        # By the call it is about: of several, workers speak in no certain order.
        call_id = str(command[3 + int(command[2])])
        number = self._said[call_id] = self._said.get(call_id, 0) + 1
        fate = Random(f"{self.seed} {call_id} {number}").choice(FATES[self.way])
        if fate in ("heard", "unheard"):
            told = await self._lane.say(*command)
            if fate == "heard":
                return told
        elif fate == "late":
            self.late[f"{call_id} {number}"] = command
        raise RedisConnectionError(fate)

    async def aclose(self) -> None:
        await self._lane.aclose()


class Ledger:
    """One worker's: it may fail before it has written, or after."""

    def __init__(self, records: UsageRecords, random: Random) -> None:
        self._records = records
        self._random = random
        self.fails = False

    def insert(self, records: Sequence[tuple[Mapping[str, Any], bool]]) -> int:
        self._maybe_fail()
        inserted = self._records.insert(records)
        self._maybe_fail()
        return inserted

    def missing(self, call_ids: Collection[str]) -> set[str]:
        return self._records.missing(call_ids)

    def _maybe_fail(self) -> None:
        if self.fails and self._random.random() < 0.2:
            raise OSError("away")


class Worker:
    def __init__(self, redis: Client, name: str, records: UsageRecords) -> None:
        self.elapsed_s = 0.0
        self.random = Random(0)
        self.lane = Lossy(redis)
        self.ledger = Ledger(records, self.random)
        self.limiter = RedisLimiter(redis, name, record_of_abandoned, timeout_s=PATIENCE_S)
        self.limiter._lua._lane = self.lane
        breaker = Breaker(0.0)
        self.ends = Ends(self.limiter, breaker, elapsed=self.elapsed)
        self.adrift = Adrift(self.limiter, breaker, elapsed=self.elapsed)
        self.kept = Kept(self.ledger, elapsed=self.elapsed)
        self.drainer = Drainer(self.limiter, self.ledger)
        self.meter = Meter(
            self.limiter,
            MemoryLimiter(MemoryStore(), name, record_of_abandoned),
            self.ends,
            breaker,
            TIERS,
            workers=len(WORKERS),
            adrift=self.adrift,
            keep=self.kept.keep,
            ended=lambda call, record, usage: None,
            chain_of=lambda caller, model: (),
            max_output_of=lambda name: None,
            prices=PRICES,
            elapsed=self.elapsed,
        )

    def elapsed(self) -> float:
        self.elapsed_s += 0.001
        return self.elapsed_s

    async def background(self) -> None:
        """What it does there, until it is done."""
        while self.meter._background:
            await asyncio.wait(self.meter._background)

    def close(self) -> None:
        self.kept.close()
        self.drainer.close()


class Accidents(OverRedis):
    engine: Engine
    call_ids: Iterator[int]

    def __init__(self) -> None:
        super().__init__()
        with writing(self.engine) as connection:
            connection.execute(delete(usage_records))
            connection.execute(delete(usage_daily))
        self.records = UsageRecords(self.engine)
        self.workers = {name: Worker(self.redis, name, self.records) for name in WORKERS}
        self.calls: dict[str, tuple[str, Call]] = {}
        self.open: list[str] = []
        self.asked = 0
        type(self).call_ids = count()

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        random = Random(seed)
        for worker in self.workers.values():
            worker.random.seed(random.random())
            worker.lane.seed = random.getrandbits(32)
            worker.lane.way, worker.ledger.fails = "fair", True

    # --- what happens ------------------------------------------------------------------------

    @rule(
        name=st.sampled_from(WORKERS),
        user=st.sampled_from([*USERS]),
        attempt=st.sampled_from([None, "r:attempt-1", "r:attempt-2", "r:attempt-3", "s:attempt-2"]),
    )
    def ask(self, name: str, user: str, attempt: str | None) -> None:
        self.asked += 1
        call = Call(
            request_id=f"request-{self.asked}",
            client_request_id=attempt,
            started_at_s=1_800_000_000.0,
            caller=Caller(user, USERS[user], Role.USER),
        )
        worker = self.workers[name]
        try:
            self.run(worker.meter.admit(call, Endpoint.CHAT, Screened(BODY, "m", False, None)))
        except GatewayError as refused:
            note(f"{user}: {refused.category}")
            assert call.ask is None
        else:
            assert call.ask is not None
            note(f"{user}: {call.ask.call_id} by {name}, local: {call.local_ask is not None}")
            self.calls[call.ask.call_id] = name, call
            self.open.append(call.ask.call_id)
        self.run(worker.background())

    @rule(
        data=st.data(),
        outcome=st.sampled_from([Outcome.OK, Outcome.OK, Outcome.ABORTED, Outcome.ERROR]),
        completion=st.sampled_from([0, 30, 50]),
    )
    def end(self, data: st.DataObject, outcome: Outcome, completion: int) -> None:
        if self.open:
            call_id = data.draw(st.sampled_from(self.open))
            self._end(call_id, outcome, None if outcome is Outcome.ERROR else Usage(10, completion))

    def _end(self, call_id: str, outcome: Outcome, usage: Usage | None) -> None:
        self.open.remove(call_id)
        name, call = self.calls[call_id]
        self.run(self.workers[name].meter.settle(call, outcome, usage))

    @rule(name=st.sampled_from(WORKERS), way=st.sampled_from(["fair", "bad", "bad"]))
    def the_way_changes(self, name: str, way: str) -> None:
        self.workers[name].lane.way = way

    @rule(name=st.sampled_from(WORKERS))
    def tell_again(self, name: str) -> None:
        self.run(self.workers[name].ends.retry())

    @rule(name=st.sampled_from(WORKERS))
    def tell_of_open_ones(self, name: str) -> None:
        self.run(self.workers[name].adrift.tell())

    @rule(name=st.sampled_from(WORKERS))
    def renew(self, name: str) -> None:
        with suppress(StoreLost):
            self.run(self.workers[name].limiter.renew())

    @rule(name=st.sampled_from(WORKERS))
    def take_the_others_for_dead(self, name: str) -> None:
        now_s = self.run(self.workers[name].limiter._now_ms(None)) / 1_000 + LEASE_S
        with suppress(StoreLost):
            self.run(self.workers[name].limiter.reap(now_s=now_s))

    @rule(data=st.data(), name=st.sampled_from(WORKERS))
    def heard_late(self, data: st.DataObject, name: str) -> None:
        late = self.workers[name].lane.late
        if late:
            self._hear(late.pop(data.draw(st.sampled_from(sorted(late)))))

    def _hear(self, command: Sequence[str | int | bytes]) -> None:
        with suppress(NoScriptError):  # one by the hash of a script that was not told yet is lost
            self.run(self.redis.lane.say(*command))

    @rule(name=st.sampled_from(WORKERS))
    def bring_records(self, name: str) -> None:
        with suppress(StoreLost, OSError):
            self.run(self.workers[name].drainer.drain_once())

    @rule(name=st.sampled_from(WORKERS))
    def hand_records_in(self, name: str) -> None:
        """They were to be in the ledger long ago."""
        self.workers[name].elapsed_s += HAND_IN_AFTER_S
        with suppress(OSError):
            self.run(self.workers[name].kept.look())

    # --- what must hold ----------------------------------------------------------------------

    def teardown(self) -> None:
        try:
            self._calm_down()
            assert [] == left_behind(self.server.client)
            kept = self.records.page(limit=1_000)[0]
            assert sorted(self.calls) == sorted(
                record["call_id"]
                for record in kept
                # That of a refused call, whose worker had been taken for dead before it could say so.
                if record["error_category"] != ErrorCategory.SERVICE_UNAVAILABLE
            )
            for user in USERS:
                self._check(user, [record for record in kept if record["user_id"] == user])
        finally:
            self.close()
            for worker in self.workers.values():
                worker.close()

    def _calm_down(self) -> None:
        """Everything is heard, also what is late; what runs ends; what waits is told."""
        for worker in self.workers.values():
            worker.lane.way, worker.ledger.fails = "good", False
            for command in worker.lane.late.values():
                self._hear(command)
        for call_id in [*self.open]:
            self._end(call_id, Outcome.OK, Usage(10, 10))
        for worker in self.workers.values():
            self.run(worker.ends.retry())
            self.run(worker.meter.finish(PATIENCE_S))
            assert 0 == worker.ends.waiting
        for worker in self.workers.values():
            assert self.run(worker.drainer.drain_all(PATIENCE_S))
            self.run(worker.kept.look(is_last=True))

    def _check(self, user: str, kept: Sequence[Mapping[str, Any]]) -> None:
        """Never phantom, and nothing lost: counters, ledger and sums say the same."""
        expected = (
            sum(record["requests_counted"] for record in kept),
            sum((record["prompt_tokens"] or 0) + (record["completion_tokens"] or 0) for record in kept),
            sum(nano_usd(record["price_usd"] or "0") for record in kept),
        )
        standings = self.run(self.workers["one"].limiter.standings(user, COUNTERS))
        assert expected == tuple(standing.used for standing in standings)
        sums = UsageSums(self.engine).total(Span(user_id=user))
        assert expected == (sums.requests, sums.total_tokens, sums.price_nano_usd)


@pytest.fixture
def engine(tmp_path: Any) -> Iterator[Engine]:
    engine = connect(f"sqlite:///{tmp_path}/scalix.db")
    make_tables(engine)
    yield engine
    engine.dispose()


def test_every_call_counts_once_over_a_lossy_redis(
    own_redis: RedisServer, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls, ends and records whose commands or answers get lost or come late; workers taken for dead."""
    Accidents.engine = engine

    def numbered() -> SimpleNamespace:
        return SimpleNamespace(hex=f"call-{next(Accidents.call_ids)}")

    monkeypatch.setattr(metering, "uuid4", numbered)
    try_out(Accidents, own_redis)
