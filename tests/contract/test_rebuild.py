"""Counters made anew from the ledger are those that Redis had."""

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest

from scalix_callbacks.core.limits import Admitted, Ask, Counter, Standing
from scalix_callbacks.core.record import windows_of
from scalix_callbacks.core.tiers import DAY_S, HOUR_S, Unit
from scalix_callbacks.drain import Drainer
from scalix_callbacks.ledger.database import connect
from scalix_callbacks.ledger.usage_records import UsageRecords
from scalix_callbacks.rebuild import PAUSE_S, TRIES, Rebuilt, rebuild, used_by
from scalix_callbacks.store.connection import connect as connect_redis
from scalix_callbacks.store.counters import RedisCounters, Used
from scalix_callbacks.store.keys import counters_key
from scalix_callbacks.store.limiter import RedisLimiter
from tests.contract.world import PATIENCE_S, abandoned
from tests.databases import make_tables
from tests.records import call_record
from tests.redis_server import RedisServer

COUNTERS = (
    Counter(Unit.REQUESTS, HOUR_S, 100),
    Counter(Unit.TOKENS, DAY_S, 100_000),
    Counter(Unit.USD, DAY_S, 10**9),
)


@dataclass
class Desk:
    """A limiter on a real Redis, its ledger, and what a rebuild needs."""

    limiter: RedisLimiter
    counters: RedisCounters
    records: UsageRecords
    server: RedisServer

    def __post_init__(self) -> None:
        self._numbers = count()
        self.pauses: list[float] = []

    async def admit(self, account: str = "ada") -> tuple[Ask, Admitted]:
        ask = Ask(f"c-{next(self._numbers)}", account, COUNTERS, 10, 10, None, {}, 10, 10)
        admitted = await self.limiter.admit(ask)
        assert isinstance(admitted, Admitted)
        return ask, admitted

    async def settle(
        self, ask: Ask, admitted: Admitted, tokens: int = 30, *, is_counted: bool = True
    ) -> None:
        record = call_record(
            call_id=ask.call_id,
            at=datetime.now(UTC),
            user_id=ask.account_id,
            prompt_tokens=tokens,
            completion_tokens=None,
            price_nano_usd=tokens * 7,
            requests_counted=int(is_counted),
            windows=windows_of(admitted.standings),
        )
        await self.limiter.settle(
            ask, is_counted=is_counted, tokens=tokens, nano_usd=tokens * 7, record=record.to_json()
        )

    async def call(self, account: str = "ada", tokens: int = 30) -> None:
        await self.settle(*await self.admit(account), tokens)

    async def drain(self) -> None:
        drainer = Drainer(self.limiter, self.records)
        assert await drainer.drain_all(20)
        drainer.close()

    async def standings(self, account: str = "ada") -> list[Standing]:
        return [*await self.limiter.standings(account, COUNTERS)]

    async def used(self, account: str) -> dict[str, tuple[float, int]]:
        """Of the counters in which anything was used."""
        return {
            each.counter.id: (each.started_at_s, each.used)
            for each in await self.standings(account)
            if each.used
        }

    async def rebuild(self) -> Rebuilt:
        async def sleep(seconds: float) -> None:
            self.pauses.append(seconds)

        return await rebuild(self.records, self.counters, DAY_S, sleep=sleep)


@pytest.fixture
async def desk(clean_redis: RedisServer, tmp_path: Path) -> AsyncIterator[Desk]:
    redis = connect_redis(clean_redis.url)
    engine = connect(f"sqlite:///{tmp_path / 'ledger.db'}")
    make_tables(engine)
    limiter = RedisLimiter(redis, "w-1", abandoned, timeout_s=PATIENCE_S)
    yield Desk(limiter, RedisCounters(redis, PATIENCE_S), UsageRecords(engine), clean_redis)
    await redis.aclose()
    engine.dispose()


async def test_a_flushed_redis_has_its_counters_back(desk: Desk) -> None:
    """Of every account, each with the window it was in."""
    for tokens in (10, 20, 30):
        await desk.call("ada", tokens)
    await desk.call("bob", 5)
    failed = await desk.admit("bob")
    await desk.settle(*failed, 0, is_counted=False)
    before = [await desk.standings("ada"), await desk.standings("bob")]
    await desk.drain()
    desk.server.client.flushall()

    assert Rebuilt(2, ()) == await desk.rebuild()
    assert before == [await desk.standings("ada"), await desk.standings("bob")]
    assert [3, 60, 420] == [standing.used for standing in before[0]]


async def test_counters_set_back_are_brought_forward(desk: Desk) -> None:
    """An old snapshot, with fewer calls, or with some that the ledger never saw."""
    await desk.call()
    before = await desk.standings()
    await desk.drain()
    key = counters_key("ada")
    desk.server.client.hset(key, "requests:3600", f"{round(before[0].started_at_s * 1_000)} 9 0")
    desk.server.client.hset(key, "requests:60", f"{round(before[0].started_at_s * 1_000)} 9 0")
    desk.server.client.hdel(key, "tokens:86400")
    await desk.rebuild()

    assert before == await desk.standings()
    assert not desk.server.client.hexists(key, "requests:60")


async def test_what_open_calls_hold_stays_held(desk: Desk) -> None:
    """They settle afterwards as if nothing had been."""
    await desk.call()
    await desk.drain()
    open_call = await desk.admit()
    before = await desk.standings()
    await desk.rebuild()
    assert before == await desk.standings()
    await desk.settle(*open_call)

    assert [(2, 0), (60, 0), (420, 0)] == [(each.used, each.held) for each in await desk.standings()]


async def test_windows_before_and_after_a_loss_become_one(desk: Desk) -> None:
    """From the begin of the first: nobody gets a second limit by a loss."""
    await desk.call()
    first = (await desk.standings())[0].started_at_s
    await desk.drain()
    desk.server.client.flushall()
    await desk.call()
    await desk.drain()
    await desk.rebuild()

    standings = await desk.standings()
    assert [2, 60, 420] == [standing.used for standing in standings]
    assert first == standings[0].started_at_s


async def test_an_account_whose_records_are_on_their_way_is_left_alone(desk: Desk) -> None:
    """Until the ledger has them; here nobody brings them there."""
    await desk.call()
    await desk.drain()
    await desk.call()
    before = await desk.standings()

    assert Rebuilt(0, ("ada",)) == await desk.rebuild()
    assert [PAUSE_S] * TRIES == desk.pauses
    assert before == await desk.standings()
    await desk.drain()
    assert Rebuilt(1, ()) == await desk.rebuild()
    assert before == await desk.standings()


async def test_a_call_that_comes_between_is_not_lost(desk: Desk) -> None:
    """The account is read again: what was read first is not all."""
    await desk.call()
    await desk.drain()
    seen = await desk.counters.read("ada")
    await desk.call()
    await desk.drain()
    before = await desk.standings()

    assert not await desk.counters.restore("ada", seen, {})
    assert before == await desk.standings()


@pytest.mark.parametrize("window_s", [HOUR_S, DAY_S])
def test_windows_that_are_over_count_nothing(window_s: int) -> None:
    """To the millisecond."""
    record = {"windows": {f"requests:{window_s}": 1_000}, "requests_counted": 1}
    over_s = 1.0 + window_s

    assert {f"requests:{window_s}": Used(1_000, 1)} == used_by([record], over_s - 0.001)
    assert {} == used_by([record], over_s)


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_was_called_comes_back(desk: Desk, seed: int) -> None:
    """Any calls, counted or not, of any size: the same counters as before the loss."""
    chance = random.Random(seed)
    for _ in range(12):
        ask, admitted = await desk.admit(chance.choice(["ada", "bob"]))
        await desk.settle(ask, admitted, chance.choice([0, 1, 500]), is_counted=chance.random() < 0.7)
    before = {account: await desk.used(account) for account in ("ada", "bob")}
    await desk.drain()
    desk.server.client.flushall()
    await desk.rebuild()

    assert before == {account: await desk.used(account) for account in ("ada", "bob")}
