"""A limit in shadow counts like any other, tells what it would have refused, and refuses nothing."""

import random
from dataclasses import replace

import pytest

from scalix_callbacks.core.limits import LEAST_OUTPUT_TOKENS, Admitted, Attempt, Counter, Decision, Denied
from scalix_callbacks.core.tiers import DAY_S, HOUR_S, Unit
from tests.contract.world import NOON, REQUESTS_1H, TOKENS_1D, USD_1D, World

SHADOW_1H = Counter(Unit.REQUESTS, HOUR_S, None, shadow=2)
SHADOW_TOKENS = Counter(Unit.TOKENS, DAY_S, None, shadow=1_000)


def told(decision: Decision) -> tuple[Counter, ...]:
    assert isinstance(decision, Admitted)
    return decision.shadowed


async def test_a_limit_in_shadow_refuses_nothing_and_tells_what_it_would_have(world: World) -> None:
    """Two an hour in shadow: the third and the fourth are answered, counted and told."""
    decisions = [await world.admit(call, SHADOW_1H) for call in "abcd"]

    assert [(), (), (SHADOW_1H,), (SHADOW_1H,)] == [told(each) for each in decisions]
    assert [(0, 4)] == await world.used_and_held(SHADOW_1H)
    for call in "abcd":
        await world.settle(call)
    assert [(4, 0)] == await world.used_and_held(SHADOW_1H)


async def test_it_tells_nothing_once_its_window_is_over(world: World) -> None:
    """As the limit itself would refuse nothing then; to the millisecond."""
    for call in "abc":
        await world.admit(call, SHADOW_1H)
        await world.settle(call)

    assert (SHADOW_1H,) == told(await world.admit("d", SHADOW_1H, at=NOON + HOUR_S - 0.001))
    await world.fail("d", at=NOON + HOUR_S - 0.001)
    assert () == told(await world.admit("e", SHADOW_1H, at=NOON + HOUR_S))


async def test_it_lowers_no_output(world: World) -> None:
    """Tokens beyond it are asked for and held in full; only what would have been refused is told."""
    first = await world.admit("a", SHADOW_TOKENS, prompt=100, output=5_000)
    second = await world.admit("b", SHADOW_TOKENS, prompt=100, output=None)

    assert isinstance(first, Admitted) and isinstance(second, Admitted)
    assert (5_000, ()) == (first.output_tokens, first.shadowed)  # it would have been lowered, not refused
    assert (None, (SHADOW_TOKENS,)) == (second.output_tokens, second.shadowed)
    assert [(0, 5_200)] == await world.used_and_held(SHADOW_TOKENS)


@pytest.mark.parametrize(("prompt", "is_told"), [(744, False), (745, True), (1_001, True)])
async def test_tokens_that_would_not_have_been_worth_a_call_are_told(
    world: World, prompt: int, is_told: bool
) -> None:
    """256 of output must be left, as for a limit that holds; a prompt too large as well."""
    assert is_told is bool(told(await world.admit("a", SHADOW_TOKENS, prompt=prompt, output=600)))


async def test_a_closed_limit_in_shadow_tells_every_call(world: World) -> None:
    """0 would have refused all of them."""
    closed = replace(SHADOW_1H, shadow=0)

    assert (closed,) == told(await world.admit("a", closed))


async def test_a_stricter_limit_stands_in_shadow_beside_the_one_that_holds(world: World) -> None:
    """One counter, two amounts: the first call goes, the second is told, the third refused."""
    both = replace(REQUESTS_1H, shadow=1)
    decisions = [await world.admit(call, both) for call in "abc"]

    assert [(), (both,)] == [told(each) for each in decisions[:2]]
    assert isinstance(decisions[2], Denied)
    assert [(0, 2)] == await world.used_and_held(both)


async def test_a_refused_call_is_told_by_no_shadow(world: World) -> None:
    """It was not admitted; and a refusal takes nothing, of shadows neither."""
    await world.admit("a", REQUESTS_1H, SHADOW_TOKENS, prompt=2_000)
    await world.admit("b", REQUESTS_1H, SHADOW_TOKENS, prompt=2_000)

    assert isinstance(await world.admit("c", REQUESTS_1H, SHADOW_TOKENS, prompt=2_000), Denied)
    assert [(0, 2), (0, 4_000)] == await world.used_and_held(REQUESTS_1H, SHADOW_TOKENS)


async def test_a_budget_in_shadow(world: World) -> None:
    """USD are counted to the nano-dollar, and told once they are used up."""
    budget = replace(USD_1D, amount=None, shadow=1_000)
    assert () == told(await world.admit("a", budget, prompt_nano_usd=1_000))
    await world.settle("a", nano_usd=1_700)

    assert (budget,) == told(await world.admit("b", budget))
    assert [(1_700, 0)] == await world.used_and_held(budget)


async def test_the_largest_amounts_are_exact_beside_a_shadow(world: World) -> None:
    """What only a shadow limits may be held short; what a limit holds may not."""
    both = Counter(Unit.TOKENS, DAY_S, 2**53 - 1, shadow=5)

    assert (both,) == told(await world.admit("a", both, prompt=2**53 - 2))
    assert [(0, 2**53 - 2)] == await world.used_and_held(both)


async def test_another_attempt_of_a_request_is_not_told_again(world: World) -> None:
    """It is the same request, which holds its piece already."""
    one = replace(SHADOW_1H, shadow=1)
    await world.admit("a", one)
    first = await world.admit("b", one, attempt=Attempt("r", 1, "body"))
    again = await world.admit("c", one, attempt=Attempt("r", 2, "body"))

    assert [(one,), ()] == [told(first), told(again)]


async def test_what_went_on_without_the_store_is_counted(world: World) -> None:
    """And told by no shadow, which nobody had asked."""
    await world.admit("a", SHADOW_1H, SHADOW_TOKENS)
    ask, worker = replace(world.ask_of("a"), call_id="b"), world.worker()
    for _ in range(3):
        drained = await worker.drain(ask, is_counted=True, tokens=70, record={"call_id": "b"}, now_s=NOON)
        ask = replace(ask, call_id=ask.call_id + "b")

    assert drained is not None
    assert [SHADOW_1H, SHADOW_TOKENS] == [each.counter for each in drained.standings]
    assert [(3, 1), (210, 100)] == await world.used_and_held(SHADOW_1H, SHADOW_TOKENS)


def _need(counter: Counter, prompt: int, output: int | None) -> int:
    match counter.unit:
        case Unit.REQUESTS:
            return 1
        case Unit.TOKENS:
            least = LEAST_OUTPUT_TOKENS if output is None else min(output, LEAST_OUTPUT_TOKENS)
            return max(prompt + least, 1)
        case Unit.USD:
            return max(prompt, 1)


@pytest.mark.parametrize("seed", range(6))
async def test_with_limits_in_shadow_all_others_hold_as_without(world: World, seed: int) -> None:
    """The same calls of two accounts, one with shadows: the same decisions, counters and ends.

    Told is exactly what each shadow by itself would have refused.
    """
    chance = random.Random(seed)
    bare = (Counter(Unit.REQUESTS, HOUR_S, 9), TOKENS_1D, Counter(Unit.USD, DAY_S, None))
    with_shadows = (
        replace(bare[0], shadow=4),
        replace(bare[1], amount=1_000, shadow=600),
        replace(bare[2], shadow=500),
        Counter(Unit.REQUESTS, DAY_S, None, shadow=6),
    )
    accounts = {"ada": with_shadows, "ben": bare}
    at, open_calls = NOON, []
    for step in range(50):
        at += chance.choice([0.001, 1.0, 300.0, 1_800.0])
        if open_calls and chance.random() < 0.5:
            call = open_calls.pop(chance.randrange(len(open_calls)))
            tokens, is_counted = chance.choice([0, 40, 300]), chance.random() < 0.8
            for account in accounts:
                await world.settle(
                    f"{account}-{call}", tokens, at=at, is_counted=is_counted, nano_usd=tokens * 3
                )
        else:
            prompt, output = chance.choice([0, 30, 200, 500]), chance.choice([None, 0, 100, 400])
            before = await world.worker().standings("ada", with_shadows, now_s=at)
            ada, ben = [
                await world.admit(
                    f"{account}-{step}",
                    *counters,
                    account=account,
                    at=at,
                    prompt=prompt,
                    output=output,
                    prompt_nano_usd=prompt,
                )
                for account, counters in accounts.items()
            ]
            assert type(ada) is type(ben)
            if isinstance(ada, Admitted) and isinstance(ben, Admitted):
                open_calls.append(step)
                assert ada.output_tokens == ben.output_tokens
                assert ada.shadowed == tuple(
                    s.counter
                    for s in before
                    if s.counter.shadow is not None
                    and s.used + s.held + _need(s.counter, prompt, output) > s.counter.shadow
                )
            elif isinstance(ada, Denied) and isinstance(ben, Denied):
                assert (ada.by.id, ada.retry_after_s, ada.is_held) == (
                    ben.by.id,
                    ben.retry_after_s,
                    ben.is_held,
                )
        stood = [await world.used_and_held(*bare, at=at, account=account) for account in accounts]
        assert stood[0] == stood[1]
    for call in open_calls:
        for account in accounts:
            await world.fail(f"{account}-{call}", at=at)
