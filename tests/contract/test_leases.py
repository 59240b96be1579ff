"""A worker that dies leaves nothing held; one that only stalled is heard out."""

from dataclasses import replace

from scalix_callbacks.core.limits import ATTEMPTS_WITHIN_S, Admitted, Attempt
from scalix_callbacks.core.tiers import DAY_S, HOUR_S
from scalix_callbacks.store.limiter import LEASE_S
from tests.contract.world import NOON, REQUESTS_1D, REQUESTS_1H, TOKENS_1D, USD_1D, World

LAPSED = NOON + LEASE_S


async def test_calls_of_a_dead_worker_are_given_up(world: World) -> None:
    """The request is given back, the prompt is charged, the rest is unknown; and it is recorded."""
    await world.admit(
        "a", REQUESTS_1H, TOKENS_1D, USD_1D, output=500, prompt_nano_usd=30, output_nano_usd=1, worker="dead"
    )

    assert 0 == await world.worker("alive").reap(now_s=LAPSED - 0.001)
    assert 1 == await world.worker("alive").reap(now_s=LAPSED)
    assert 0 == await world.worker("alive").reap(now_s=LAPSED)
    assert [(0, 0), (100, 0), (30, 0)] == await world.used_and_held(REQUESTS_1H, TOKENS_1D, USD_1D)
    (entry,) = await world.worker("alive").read_outbox(10)
    assert (False, False) == (entry.is_counted, entry.is_late)
    assert {
        "call_id": "a",
        "outcome": "abandoned",
        "charged": {REQUESTS_1H.id: 0, TOKENS_1D.id: 100, USD_1D.id: 30},
        "windows": {REQUESTS_1H.id: NOON, TOKENS_1D.id: NOON, USD_1D.id: NOON},
    } == entry.record
    await world.worker("alive").acknowledge([entry])


async def test_a_worker_that_renews_lives(world: World) -> None:
    """For as long as a lease from its last word on."""
    await world.admit("a", REQUESTS_1H, worker="slow")
    await world.worker("slow").renew(now_s=NOON + 15)
    await world.worker("slow").renew(now_s=NOON + 30)

    assert 0 == await world.worker("other").reap(now_s=NOON + 30 + LEASE_S - 0.001)
    assert 1 == await world.worker("other").reap(now_s=NOON + 30 + LEASE_S)


async def test_a_new_call_renews_too(world: World) -> None:
    """A worker that admits is alive."""
    await world.admit("a", REQUESTS_1H, worker="slow")
    await world.admit("b", REQUESTS_1H, worker="slow", at=NOON + 19)

    assert 0 == await world.worker("other").reap(now_s=LAPSED)


async def test_a_worker_does_not_give_up_its_own(world: World) -> None:
    """Whatever its lease says, it is there."""
    await world.admit("a", REQUESTS_1H)

    assert 0 == await world.worker().reap(now_s=LAPSED + 100)
    assert [(0, 1)] == await world.used_and_held(REQUESTS_1H, at=LAPSED)


async def test_a_lease_covers_every_account(world: World) -> None:
    """Wherever the worker's calls lie."""
    accounts = [f"account-{number}" for number in range(40)]
    for account in accounts:
        await world.admit(account, REQUESTS_1H, account=account, worker="dead")
    await world.worker("dead").renew(now_s=NOON + 10)

    assert 0 == await world.worker("alive").reap(now_s=LAPSED + 9)
    assert 40 == await world.worker("alive").reservations_held()
    assert 40 == await world.worker("alive").reap(now_s=LAPSED + 10)
    assert 0 == await world.worker("alive").reservations_held()


async def test_a_late_end_takes_effect_with_the_difference(world: World) -> None:
    """The worker only stalled: its call counts after all, and its record replaces the one of its loss."""
    await world.admit("a", REQUESTS_1H, TOKENS_1D, worker="stalled")
    await world.worker("other").reap(now_s=LAPSED)
    settled = await world.settle("a", 350, at=LAPSED + 60)

    assert settled is not None and settled.is_counted
    assert [(1, 0), (350, 0)] == await world.used_and_held(REQUESTS_1H, TOKENS_1D, at=LAPSED + 60)
    entries = await world.worker("other").read_outbox(10)
    assert [False, True] == [entry.is_late for entry in entries]
    assert {"call_id": "a"} == entries[1].record
    assert await world.settle("a", 350, at=LAPSED + 61) is None


async def test_a_late_failure_gives_the_estimate_back(world: World) -> None:
    """Nothing was used, so nothing is charged."""
    await world.admit("a", REQUESTS_1H, TOKENS_1D, worker="stalled")
    await world.worker("other").reap(now_s=LAPSED)
    await world.fail("a", at=LAPSED + 1)

    assert [(0, 0), (0, 0)] == await world.used_and_held(REQUESTS_1H, TOKENS_1D, at=LAPSED + 1)


async def test_a_late_end_goes_to_the_window_that_took_over(world: World) -> None:
    """Its own window had emptied when it was given up, and another call has started the next."""
    await world.admit("a", REQUESTS_1H, worker="stalled")
    await world.worker("other").reap(now_s=LAPSED)
    await world.admit("b", REQUESTS_1H, at=LAPSED + 10)
    await world.settle("a", at=LAPSED + 20)

    assert [(1, 1)] == await world.used_and_held(REQUESTS_1H, at=LAPSED + 20)


async def test_a_late_end_after_its_window_counts_nothing(world: World) -> None:
    """As any end does; the hour is over, the day is not."""
    tokens = replace(TOKENS_1D, window_s=DAY_S)
    await world.admit("a", REQUESTS_1H, tokens, worker="stalled")
    await world.worker("other").reap(now_s=LAPSED)
    await world.settle("a", 350, at=NOON + HOUR_S)

    assert [(0, 0), (350, 0)] == await world.used_and_held(REQUESTS_1H, tokens, at=NOON + HOUR_S)


async def test_a_lost_attempt_leaves_the_request_to_the_others(world: World) -> None:
    """It is given back only when no other attempt is open; a late success counts it once."""
    await world.admit("a", REQUESTS_1H, attempt=Attempt("r", 1, "body"), worker="stalled")
    await world.admit("b", REQUESTS_1H, attempt=Attempt("r", 2, "body"), worker="other", at=LAPSED)
    await world.worker("other").reap(now_s=LAPSED)
    assert [(0, 1)] == await world.used_and_held(REQUESTS_1H, at=LAPSED)

    late = await world.settle("a", at=LAPSED + 1)
    assert late is not None and late.is_counted
    second = await world.settle("b", at=LAPSED + 2)
    assert second is not None and not second.is_counted
    assert [(1, 0)] == await world.used_and_held(REQUESTS_1H, at=LAPSED + 3)


async def test_a_request_whose_only_attempt_was_lost_is_given_back(world: World) -> None:
    """And counted when it comes back with success."""
    await world.admit("a", REQUESTS_1H, attempt=Attempt("r", 1, "body"), worker="stalled")
    await world.worker("other").reap(now_s=LAPSED)
    assert [(0, 0)] == await world.used_and_held(REQUESTS_1H, at=LAPSED)

    await world.settle("a", at=LAPSED + 1)
    assert [(1, 0)] == await world.used_and_held(REQUESTS_1H, at=LAPSED + 1)


async def test_a_worker_goes_on_after_it_was_given_up(world: World) -> None:
    """Its next calls are under a lease again."""
    await world.admit("a", REQUESTS_1H, worker="stalled")
    await world.worker("other").reap(now_s=LAPSED)
    await world.worker("other").reap(now_s=LAPSED + 1)
    decision = await world.admit("b", REQUESTS_1H, worker="stalled", at=LAPSED + 2)

    assert isinstance(decision, Admitted)
    assert 0 == await world.worker("other").reap(now_s=LAPSED + 2 + LEASE_S - 0.001)
    assert 1 == await world.worker("other").reap(now_s=LAPSED + 2 + LEASE_S)


async def test_a_refused_call_that_was_given_up_is_charged_nothing(world: World) -> None:
    """Its admission came through unheard; its user was told 503 long before another worker gave it up."""
    await world.admit("a", REQUESTS_1H, TOKENS_1D, USD_1D, prompt_nano_usd=30, worker="stalled")
    await world.worker("other").reap(now_s=LAPSED)
    for _ in range(2):
        await world.release("a", at=LAPSED + 1)

    assert [(0, 0)] * 3 == await world.used_and_held(REQUESTS_1H, TOKENS_1D, USD_1D, at=LAPSED + 1)
    entries = await world.worker("other").read_outbox(10)
    assert [False, True] == [entry.is_late for entry in entries]
    assert ({"call_id": "a", "outcome": "refused"}, False) == (entries[1].record, entries[1].is_counted)
    assert await world.settle("a", 100, at=LAPSED + 2) is None


async def test_a_late_failure_takes_nothing_from_another_window(world: World) -> None:
    """The next window had begun, and the clock was set back into the one that was charged."""
    tokens = replace(TOKENS_1D, window_s=HOUR_S)
    await world.admit("a", tokens, worker="stalled")
    await world.worker("other").reap(now_s=LAPSED)
    await world.admit("b", tokens, at=NOON + HOUR_S)
    await world.settle("b", 500, at=NOON + HOUR_S)
    await world.fail("a", at=NOON + HOUR_S - 600)

    assert [(500, 0)] == await world.used_and_held(tokens, at=NOON + HOUR_S)


async def test_a_late_attempt_leaves_alone_what_others_hold(world: World) -> None:
    """Its request was given back when it was given up; the one that is still held is another's."""
    await world.admit("a", REQUESTS_1H, attempt=Attempt("r", 1, "body"), worker="stalled")
    await world.admit("b", REQUESTS_1H, worker="other", at=LAPSED)
    await world.worker("other").reap(now_s=LAPSED)
    await world.settle("a", at=LAPSED + 1)

    assert [(1, 1)] == await world.used_and_held(REQUESTS_1H, at=LAPSED + 1)


async def test_a_late_attempt_is_not_taken_for_another_request(world: World) -> None:
    """Its id is in use again, for a request that counts by itself."""
    again = NOON + ATTEMPTS_WITHIN_S
    await world.admit("a", REQUESTS_1D, attempt=Attempt("r", 1, "body"), worker="stalled")
    await world.worker("other").reap(now_s=LAPSED)
    await world.admit("b", REQUESTS_1D, attempt=Attempt("r", 1, "body"), worker="other", at=again)
    await world.settle("b", at=again + 1)
    late = await world.settle("a", at=again + 2)

    assert late is not None and late.is_counted
    assert [(2, 0)] == await world.used_and_held(REQUESTS_1D, at=again + 2)
