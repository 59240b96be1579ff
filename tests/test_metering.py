"""A call is admitted, settled and recorded once, also while the store is lost: never over, never phantom."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from scalix_callbacks.adrift import Adrift
from scalix_callbacks.core.auto import Choice
from scalix_callbacks.core.bodies import Screened
from scalix_callbacks.core.breaker import Breaker
from scalix_callbacks.core.call import Call
from scalix_callbacks.core.caller import OPERATOR, Caller, Role
from scalix_callbacks.core.errors import ErrorCategory, GatewayError
from scalix_callbacks.core.limits import Ask, Counter, Decision, Settled, counters_of
from scalix_callbacks.core.money import nano_usd
from scalix_callbacks.core.pricing import Price, PriceTable, Rates
from scalix_callbacks.core.record import Outcome, record_of_abandoned
from scalix_callbacks.core.routes import Endpoint
from scalix_callbacks.core.tiers import DAY_S, HOUR_S, Limit, LimitOverride, Tier, TierTable, Unit
from scalix_callbacks.core.tiers import StoreLost as OnStoreLost
from scalix_callbacks.core.usage import Usage
from scalix_callbacks.ends import Ends
from scalix_callbacks.metering import Meter
from scalix_callbacks.store.errors import StoreLost
from scalix_callbacks.store.limiter import LEASE_S
from scalix_callbacks.store.memory import MemoryLimiter
from scalix_callbacks.store.memory_store import MemoryStore

NOW_S = 1_800_000_000.0
PRICES = (
    Price("m", Rates(2_000 * 10**9, 10**12, 3_000 * 10**9, 5)),
    Price("m2", Rates(10**12, 10**12, 10**12)),
    Price("free", Rates(0, 0, 0)),
)
"""Of `m` a token of the prompt is 2,000 nano-USD, one from a cache 1,000, of the answer 3,000; the call 5."""
USED = Usage(10, 20)
LIMITS = (Limit(4, Unit.REQUESTS, HOUR_S), Limit(1_000, Unit.TOKENS, DAY_S))
TIERS = TierTable(
    (
        Tier("free", ("*",), LIMITS, default_output_tokens=50, upgrade_to="pro"),
        Tier("pro", ("*",), LIMITS, default_output_tokens=50, on_store_lost=OnStoreLost.ADMIT),
    )
)


class Store(MemoryLimiter):
    """A limiter that gets lost: before what it is asked takes effect, or after."""

    def __init__(self) -> None:
        super().__init__(MemoryStore(), "w-1", record_of_abandoned, now=lambda: NOW_S)
        self.is_lost = self.is_lost_after = False
        self.asked = 0

    async def admit(self, ask: Ask, **now: Any) -> Decision:
        self._before()
        decision = await super().admit(ask)
        self._after()
        return decision

    async def settle(self, ask: Ask, **how: Any) -> Settled | None:
        self._before()
        settled = await super().settle(ask, **how)
        self._after()
        return settled

    async def drain(self, ask: Ask, **how: Any) -> Settled | None:
        self._before()
        settled = await super().drain(ask, **how)
        self._after()
        return settled

    def _before(self) -> None:
        self.asked += 1
        if self.is_lost:
            raise StoreLost("away")

    def _after(self) -> None:
        if self.is_lost_after:
            raise StoreLost("the answer was lost")


class Desk:
    """One worker of two, with its store."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0
        self.store = Store()
        self.breaker = Breaker(1.0)
        self.woken = 0
        self.ends = Ends(self.store, self.breaker, told=self._wake, elapsed=lambda: self.elapsed_s)
        self.adrift = Adrift(self.store, self.breaker, elapsed=lambda: self.elapsed_s)
        self.kept: dict[str, Any] = {}
        self.ended: list[Outcome] = []
        self.shadowed: list[str] = []
        self.meter = Meter(
            self.store,
            MemoryLimiter(MemoryStore(), "w-2", record_of_abandoned, now=lambda: NOW_S),
            self.ends,
            self.breaker,
            TIERS,
            workers=2,
            adrift=self.adrift,
            keep=lambda record: self.kept.__setitem__(record["call_id"], record),
            ended=lambda call, record, usage: self.ended.append(record.outcome),
            chain_of=lambda caller, model: (),
            max_output_of=lambda name: None,
            prices=PriceTable(PRICES),
            shadowed=lambda call, by: self.shadowed.append(by.id),
            now_s=lambda: NOW_S,
            elapsed=lambda: self.elapsed_s,
        )

    def _wake(self) -> None:
        self.woken += 1

    async def admit(
        self,
        tier: str = "free",
        limit_overrides: tuple[LimitOverride, ...] = (),
        model: str = "m",
        **fields: Any,
    ) -> Call:
        caller = Caller("ada", tier, Role.USER, limit_overrides=limit_overrides)
        caller = OPERATOR if tier == "operator" else caller
        call = Call(request_id="r", started_at_s=NOW_S, caller=caller, **fields)
        body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
        await self.meter.admit(call, Endpoint.CHAT, Screened(body, model, False, None))
        return call

    async def used(self, tier: str = "free") -> tuple[int, int, int]:
        """Requests, tokens; and what is held of either."""
        standings = await self.store.standings("ada", counters_of(TIERS[tier]))
        return standings[0].used, standings[1].used, sum(standing.held for standing in standings)

    async def comes_back(self) -> None:
        self.store.is_lost = self.store.is_lost_after = False
        self.elapsed_s += 10
        await self.meter.finish(5)
        await self.ends.retry()


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_an_accounts_own_limits_hold(desk: Desk) -> None:
    """Above its tier's, and no further."""
    own = (LimitOverride(Unit.REQUESTS, HOUR_S, 12),)
    for _ in range(12):
        await desk.admit(limit_overrides=own)
    with pytest.raises(GatewayError) as caught:
        await desk.admit(limit_overrides=own)

    assert ErrorCategory.RATE_LIMIT_EXCEEDED is caught.value.category


async def refused(desk: Desk, tier: str) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        await desk.admit(tier)
    return caught.value


async def test_a_call_is_settled_and_recorded_once(desk: Desk) -> None:
    """Whoever says its end a second time changes nothing."""
    call = await desk.admit()
    await desk.meter.settle(call, Outcome.OK, USED)
    await desk.meter.settle(call, Outcome.ERROR)
    desk.meter.settle_soon(call, Outcome.ABORTED)

    assert (1, 30, 0) == await desk.used()
    assert ["ok"] == [record["outcome"] for record in desk.kept.values()]
    assert (1, [Outcome.OK]) == (await desk.store.pending(), desk.ended)


async def test_a_failed_call_gives_everything_back(desk: Desk) -> None:
    """Its record says so."""
    await desk.meter.settle(await desk.admit(), Outcome.ERROR, category=ErrorCategory.PROVIDER_ERROR)

    assert (0, 0, 0) == await desk.used()
    assert [(0, "PROVIDER_ERROR")] == [
        (record["requests_counted"], record["error_category"]) for record in desk.kept.values()
    ]


async def test_a_lost_store_refuses_the_free_tier(desk: Desk) -> None:
    """503 that says when to come again; after the first, nobody waits for the store."""
    desk.store.is_lost = True
    errors = [await refused(desk, "free") for _ in range(3)]

    assert {ErrorCategory.SERVICE_UNAVAILABLE} == {error.category for error in errors}
    assert {5.0} == {error.retry_after_s for error in errors}
    assert 1 == desk.store.asked
    await desk.comes_back()
    assert (0, 0, 0) == await desk.used()


async def test_one_call_a_second_tries_the_lost_store(desk: Desk) -> None:
    """And the first that succeeds lets everybody through again."""
    desk.store.is_lost = True
    await refused(desk, "free")
    desk.store.is_lost = False
    await refused(desk, "free")
    desk.elapsed_s += 1
    await desk.admit()
    await desk.admit()

    assert 3 == desk.store.asked


async def test_a_lost_store_lets_pro_go_on_with_a_workers_share(desk: Desk) -> None:
    """Half of four requests, one of two workers; then 503. Rate headers are absent meanwhile."""
    desk.store.is_lost = True
    calls = [await desk.admit("pro") for _ in range(2)]
    error = await refused(desk, "pro")
    for call in calls:
        await desk.meter.settle(call, Outcome.OK, USED)

    assert ErrorCategory.SERVICE_UNAVAILABLE is error.category
    assert [(), ()] == [call.figures for call in calls]
    assert desk.meter.scalix(calls[0], None)["usage"]["remaining_requests"] is None
    assert (2, 2) == (desk.ends.waiting, len(desk.kept))


async def test_what_went_on_without_the_store_is_counted_once_it_is_back(desk: Desk) -> None:
    """Also beyond the limit, each call and each record once."""
    for _ in range(3):
        await desk.meter.settle(await desk.admit("pro"), Outcome.OK, USED)
    desk.store.is_lost = True
    for _ in range(2):
        await desk.meter.settle(await desk.admit("pro"), Outcome.OK, USED)
    await desk.comes_back()
    await desk.comes_back()

    assert (5, 150, 0) == await desk.used("pro")
    assert (0, 5, 5) == (desk.ends.waiting, await desk.store.pending(), len(desk.kept))


async def test_a_failed_call_without_the_store_gives_its_share_back(desk: Desk) -> None:
    """Three failures leave room for the two calls of the share."""
    desk.store.is_lost = True
    for _ in range(3):
        await desk.meter.settle(await desk.admit("pro"), Outcome.ERROR)
    for _ in range(2):
        await desk.admit("pro")

    assert ErrorCategory.SERVICE_UNAVAILABLE is (await refused(desk, "pro")).category


@pytest.mark.parametrize("tier", ["free", "pro"])
async def test_an_admission_whose_answer_was_lost_holds_nothing_in_the_end(desk: Desk, tier: str) -> None:
    """It took effect: the refused call's is released, the call that went on is settled as usual."""
    desk.store.is_lost_after = True
    if tier == "free":
        await refused(desk, tier)
    else:
        await desk.meter.settle(await desk.admit(tier), Outcome.OK, USED)
    await desk.comes_back()

    assert ((0, 0, 0) if tier == "free" else (1, 30, 0)) == await desk.used(tier)


async def test_a_refused_call_that_was_taken_for_dead_is_charged_nothing(desk: Desk) -> None:
    """Its admission had come through; another worker gave it up before this one could say it was refused."""
    desk.store.is_lost_after = True
    release, other = desk.store.release_unknown, MemoryLimiter(desk.store._store, "w-3", record_of_abandoned)

    async def late(ask: Ask, **about: Any) -> None:
        await other.reap(now_s=NOW_S + LEASE_S)
        await release(ask, **about)

    desk.store.release_unknown = late  # type: ignore[method-assign]
    await refused(desk, "free")
    await desk.comes_back()
    given_up, kept = [entry.record for entry in await desk.store.read_outbox(10)]

    assert (0, 0, 0) == await desk.used()
    assert (given_up["call_id"], 0, "0.000000") == (
        kept["call_id"],
        kept["requests_counted"],
        kept["price_usd"],
    )
    assert ("error", "SERVICE_UNAVAILABLE", None) == (
        kept["outcome"],
        kept["error_category"],
        kept["prompt_tokens"],
    )


@pytest.mark.parametrize("lost", ["is_lost", "is_lost_after"])
async def test_a_call_that_ends_without_the_store_is_settled_when_it_is_back(desk: Desk, lost: str) -> None:
    """Whether or not the lost settlement took effect: once."""
    call = await desk.admit()
    setattr(desk.store, lost, True)
    await desk.meter.settle(call, Outcome.OK, USED)

    assert (1, 0) == (desk.ends.waiting, desk.woken)
    await desk.comes_back()
    assert (1, 30, 0) == await desk.used()
    assert (0, 1) == (desk.ends.waiting, await desk.store.pending())
    assert 1 == desk.woken


async def test_who_drains_is_told_of_each_record(desk: Desk) -> None:
    """So that nobody has to look all the time."""
    for _ in range(3):
        await desk.meter.settle(await desk.admit(), Outcome.OK, USED)

    assert (3, 3) == (desk.woken, await desk.store.pending())


async def test_nobody_limits_the_operator(desk: Desk) -> None:
    """Nor does a lost store."""
    desk.store.is_lost = True
    calls = [await desk.admit("operator") for _ in range(10)]
    for call in calls:
        await desk.meter.settle(call, Outcome.OK, USED)
    await desk.comes_back()

    assert 10 == await desk.store.pending()


async def test_a_settlement_that_is_cancelled_is_done_later(desk: Desk) -> None:
    """LiteLLM cancels its hooks when the client hangs up."""
    call, gate = await desk.admit(), asyncio.Event()
    settle = desk.store.settle

    async def slow(ask: Ask, **how: Any) -> Settled | None:
        await gate.wait()
        return await settle(ask, **how)

    desk.store.settle = slow  # type: ignore[method-assign]
    task = asyncio.create_task(desk.meter.settle(call, Outcome.OK, USED))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.set()
    await desk.comes_back()

    assert (1, 30, 0) == await desk.used()


async def test_an_admission_that_is_cancelled_is_released(desk: Desk) -> None:
    """Nobody would settle it."""
    admit = desk.store.admit

    async def slow(ask: Ask, **now: Any) -> Decision:
        decision = await admit(ask)
        await asyncio.Event().wait()
        return decision

    desk.store.admit = slow  # type: ignore[method-assign]
    task = asyncio.create_task(desk.admit())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await desk.comes_back()

    assert (0, 0, 0) == await desk.used()


async def test_a_worker_that_ends_ends_its_calls(desk: Desk) -> None:
    """As aborted, charged for the prompt."""
    call = await desk.admit()
    await desk.meter.finish(5)

    assert call.ask is not None
    assert (1, call.ask.prompt_tokens, 0) == await desk.used()
    assert ["aborted"] == [record["outcome"] for record in desk.kept.values()]


async def test_a_worker_that_ends_releases_what_is_unknown(desk: Desk) -> None:
    """Once more, after what goes on in the background: else it is charged as if its worker had died."""
    told: list[str] = []

    async def release_unknown(ask: Ask, **about: Any) -> None:
        told.append("unheard")

    async def release(**about: Any) -> None:
        told.append("heard")

    desk.store.is_lost_after = True
    desk.store.release_unknown, desk.store.release = release_unknown, release  # type: ignore[method-assign]
    await refused(desk, "free")
    await desk.meter.finish(5)

    assert ["unheard", "heard"] == told


async def test_a_worker_that_ends_tells_what_waits(desk: Desk) -> None:
    """The store came back, and nobody has tried it since."""
    call = await desk.admit()
    desk.store.is_lost = True
    await desk.meter.settle(call, Outcome.OK, USED)
    desk.store.is_lost = False
    await desk.ends.finish()

    assert ((1, 30, 0), 0) == (await desk.used(), desk.ends.waiting)


async def test_the_record_says_which_attempt_counts(desk: Desk) -> None:
    """Of two that succeed, the first; the kept record of the second is corrected."""
    first = await desk.admit(client_request_id="u:attempt-1")
    second = await desk.admit(client_request_id="u:attempt-2")
    for call in (first, second):
        await desk.meter.settle(call, Outcome.OK, USED)

    assert [1, 0] == [record["requests_counted"] for record in desk.kept.values()]
    assert (1, 60, 0) == await desk.used()


async def test_attempts_count_as_one_request_also_without_the_store(desk: Desk) -> None:
    """Retries are no new requests, in the counters and in the records."""
    desk.store.is_lost = True
    first = await desk.admit("pro", client_request_id="u:attempt-1")
    second = await desk.admit("pro", client_request_id="u:attempt-2")
    for call in (first, second):
        await desk.meter.settle(call, Outcome.OK, USED)
    await desk.comes_back()

    assert (1, 60, 0) == await desk.used("pro")
    assert [1, 0] == [record["requests_counted"] for record in desk.kept.values()]
    assert [True, False] == [entry.is_counted for entry in await desk.store.read_outbox(10)]


def budget(nano_usd: int) -> tuple[LimitOverride, ...]:
    return (LimitOverride(Unit.USD, DAY_S, nano_usd),)


async def spent(desk: Desk, window_s: int = DAY_S) -> tuple[int, int]:
    """Nano-USD used and held."""
    (standing,) = await desk.store.standings("ada", (Counter(Unit.USD, window_s, None),))
    return standing.used, standing.held


async def test_a_call_is_charged_by_its_price(desk: Desk) -> None:
    """In the counter, the record and the answer alike; the provider's cost stands beside it."""
    call = await desk.admit(limit_overrides=budget(10**9))
    own = Rates(10**12, 10**12, 10**12)
    await desk.meter.settle(call, Outcome.OK, Usage(10, 20, cached_tokens=4), provider_rates=own)
    (record,) = desk.kept.values()

    assert (76_005, 0) == await spent(desk)
    assert ("0.000076005", "0.000030") == (record["price_usd"], record["provider_cost_usd"])
    assert "0.000076005" == desk.meter.scalix(call, None)["cost_usd"]
    assert record["windows"].keys() >= {"usd:86400"}


@pytest.mark.parametrize(
    ("outcome", "usage", "price", "cost"),
    [
        (Outcome.OK, USED, "0.000080005", "0.000030"),
        (Outcome.ERROR, None, "0.000000", None),
        (Outcome.ERROR, Usage(10, 3, is_estimated=True), "0.000029005", "0.000013"),
        (Outcome.ABORTED, Usage(10, 0, is_estimated=True), "0.000020005", "0.000010"),
        (Outcome.CACHED, None, "0.000000", None),
        (Outcome.REPLAYED, None, "0.000000", None),
    ],
)
async def test_each_end_has_its_price(
    desk: Desk, outcome: Outcome, usage: Usage | None, price: str, cost: str | None
) -> None:
    """What was used is charged; where nothing was, nothing is, and its cost is not known."""
    rates = Rates(10**12, 10**12, 10**12)
    await desk.meter.settle(await desk.admit(), outcome, usage, provider_rates=rates)
    (record,) = desk.kept.values()

    assert (price, cost) == (record["price_usd"], record["provider_cost_usd"])


@pytest.mark.parametrize(("asked", "answered"), [("m", "m2"), ("m2", "m")])
async def test_a_fallback_costs_what_the_cheaper_of_both_does(desk: Desk, asked: str, answered: str) -> None:
    """Nobody chose the dearer one."""
    call = await desk.admit(model=asked)
    await desk.meter.settle(call, Outcome.OK, USED, model_used=answered)

    assert ["0.000030"] == [record["price_usd"] for record in desk.kept.values()]


async def test_a_model_without_a_price_is_charged_nothing_that_is_known(desk: Desk) -> None:
    """Null, not 0; and what answered has one all the same, which is spent."""
    await desk.meter.settle(await desk.admit(model="other"), Outcome.OK, USED, model_used="other2")
    await desk.meter.settle(await desk.admit(model="other"), Outcome.OK, USED, model_used="m2")

    assert [None, "0.000030"] == [record["price_usd"] for record in desk.kept.values()]
    assert (30_000, 0) == await spent(desk, 30 * DAY_S)


async def test_a_model_without_a_price_is_no_way_around_a_budget(desk: Desk) -> None:
    """Nothing is held; a limit that was taken off is none."""
    with pytest.raises(GatewayError) as caught:
        await desk.admit(model="other", limit_overrides=budget(10**9))
    await desk.admit(model="other", limit_overrides=(LimitOverride(Unit.USD, DAY_S, None),))

    assert ErrorCategory.BUDGET_EXCEEDED is caught.value.category
    assert "ExceededBudget:" in caught.value.message
    assert (0, 0) == await spent(desk)


async def test_a_used_up_budget_refuses_what_costs_something(desk: Desk) -> None:
    """402 with the limit in it; a free model still answers."""
    own = budget(80_005)
    with pytest.raises(GatewayError) as too_little:
        await desk.admit(limit_overrides=budget(1_000))
    await desk.meter.settle(await desk.admit(limit_overrides=budget(10**9)), Outcome.OK, USED)
    with pytest.raises(GatewayError) as caught:
        await desk.admit(limit_overrides=own)
    await desk.meter.settle(await desk.admit(model="free", limit_overrides=own), Outcome.OK, USED)

    assert [ErrorCategory.BUDGET_EXCEEDED] * 2 == [caught.value.category, too_little.value.category]
    assert "ExceededBudget:" in caught.value.message
    assert caught.value.limit is not None
    assert ("usd", "0.000080005") == (caught.value.limit["unit"], caught.value.limit["limit"])


async def test_output_is_lowered_to_what_a_budget_leaves(desk: Desk) -> None:
    """The prompt first, and for what is left tokens of output."""
    call = await desk.admit(limit_overrides=budget(200_000))

    assert call.ask is not None and call.admission is not None
    assert call.ask.prompt_tokens * 2_000 + 5 == call.ask.prompt_nano_usd
    assert 50 == call.admission.output_tokens
    assert (0, call.ask.prompt_nano_usd + 50 * 3_000) == await spent(desk)


async def test_what_is_spent_is_counted_without_a_budget(desk: Desk) -> None:
    """For 30 days; of free calls nothing is."""
    await desk.meter.settle(await desk.admit(), Outcome.OK, USED)
    free = await desk.admit(model="free")
    await desk.meter.settle(free, Outcome.OK, USED)

    assert (80_005, 0) == await spent(desk, 30 * DAY_S)
    assert free.ask is not None
    assert Unit.USD not in {counter.unit for counter in free.ask.counters}


async def test_what_went_on_without_the_store_is_charged_once_it_is_back(desk: Desk) -> None:
    """A worker's share of the budget holds meanwhile."""
    own = budget(340_000)
    desk.store.is_lost = True
    call = await desk.admit("pro", limit_overrides=own)
    with pytest.raises(GatewayError):
        await desk.admit("pro", limit_overrides=own)
    await desk.meter.settle(call, Outcome.OK, USED)
    await desk.comes_back()

    assert (80_005, 0) == await spent(desk)


async def test_a_dead_workers_call_is_charged_what_its_record_says(desk: Desk) -> None:
    """The price of the estimated prompt, in the counter and in the ledger."""
    call = await desk.admit(limit_overrides=budget(10**9))
    other = MemoryLimiter(desk.store._store, "w-9", record_of_abandoned, now=lambda: NOW_S + 60)
    assert 1 == await other.reap()
    (entry,) = await desk.store.read_outbox(9)

    assert call.ask is not None
    assert (call.ask.prompt_nano_usd, 0) == await spent(desk)
    assert call.ask.prompt_nano_usd == nano_usd(entry.record["price_usd"])


# --- auto mode ------------------------------------------------------------------------------------


class Chooser:
    """Chooses `m2` for whatever is asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.heard: list[Any] = []

    def choose(self, name: str, tier: Any, narrowed_to: Any, **how: Any) -> Choice:
        self.asked.append((name, how))
        return Choice(name, "m2", "auto: because", ("m",))

    def ended(self, call: Call, outcome: Outcome, *, category: Any, model_used: str | None) -> None:
        self.heard.append((call.model, outcome, model_used))


@pytest.fixture
def chooser(desk: Desk) -> Chooser:
    chooser = Chooser()
    desk.meter._auto = chooser
    return chooser


async def test_the_chosen_model_becomes_the_model_of_the_call(desk: Desk, chooser: Chooser) -> None:
    """What was asked for stays in the record; whoever learns of models hears how it ended."""
    call = await desk.admit(model="auto")
    await desk.meter.settle(call, Outcome.OK, USED, model_used="m2")
    (record,) = desk.kept.values()
    told = desk.meter.scalix(call, "m2")["model_selection"]

    assert [("auto", {"prompt_tokens": 9, "is_stream": False, "at_s": NOW_S})] == chooser.asked
    assert ("auto", "m2") == (record["model_requested"], record["model_used"])
    assert [("m2", Outcome.OK, "m2")] == chooser.heard
    assert {
        "requested": "auto",
        "recommended": "m2",
        "used": "m2",
        "reason": "auto: because",
        "fallback_options": ["m"],
    } == told


async def test_nobody_pays_more_than_the_chosen_model_costs(desk: Desk, chooser: Chooser) -> None:
    """`m` is the dearer one: 10 × 2,000 + 20 × 3,000 + 5; `m2` costs 1,000 for each of the 30 tokens."""
    call = await desk.admit(model="auto")
    await desk.meter.settle(call, Outcome.OK, USED, model_used="m")
    told = desk.meter.scalix(call, "m")

    assert "0.000030" == told["cost_usd"]
    assert ("m2", "m", "fallback") == tuple(
        told["model_selection"][field] for field in ("recommended", "used", "reason")
    )


async def test_another_try_may_get_another_model(desk: Desk, chooser: Chooser) -> None:
    """A request is known by what its client sent, not by what was chosen for it."""
    by_client = {"client_request_id": "x:attempt-1"}
    first = await desk.admit(model="auto", **by_client)
    await desk.meter.settle(first, Outcome.ERROR, category=ErrorCategory.PROVIDER_ERROR)
    chooser.choose = lambda name, *_, **__: Choice(name, "m", "auto: else")  # type: ignore[method-assign]
    second = await desk.admit(model="auto", client_request_id="x:attempt-2")

    assert first.ask is not None and second.ask is not None
    assert first.ask.attempt is not None and second.ask.attempt is not None
    assert first.ask.attempt.body_hash == second.ask.attempt.body_hash
    assert ("m2", "m") == (first.model, second.model)


IN_SHADOW = (
    LimitOverride(Unit.REQUESTS, HOUR_S, 2, is_shadow=True),
    LimitOverride(Unit.TOKENS, DAY_S, 100, is_shadow=True),
)


async def test_a_limit_in_shadow_is_told_to_the_operator_alone(desk: Desk) -> None:
    """The user's answer has no header, no clamp and no prompt of it."""
    calls = [await desk.admit("pro", limit_overrides=IN_SHADOW) for _ in range(3)]
    plain = await desk.admit("pro")

    assert ["requests:3600", "tokens:86400", "tokens:86400"] == sorted(desk.shadowed)
    assert [figure.limit for figure in plain.figures] == [figure.limit for figure in calls[2].figures]
    assert plain.headers == calls[2].headers
    assert plain.prompt is calls[2].prompt is None


async def test_without_the_store_nobody_asks_what_is_in_shadow(desk: Desk) -> None:
    """What goes on then is counted when the store is back, and told by no shadow."""
    desk.store.is_lost = True
    closed = (replace(IN_SHADOW[0], amount=0),)
    await desk.meter.settle(await desk.admit("pro", limit_overrides=closed), Outcome.OK, USED)
    await desk.comes_back()

    assert [] == desk.shadowed
    assert 1 == (await desk.used("pro"))[0]
