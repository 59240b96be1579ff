"""What a call may use is held on all its limits at once, or not at all."""

from dataclasses import replace

import pytest

from scalix_callbacks.core.limits import Admitted, Counter, Denied
from scalix_callbacks.core.tiers import DAY_S, HOUR_S, Unit
from tests.contract.world import NOON, REQUESTS_1D, REQUESTS_1H, TOKENS_1D, USD_1D, World


async def test_a_call_holds_what_it_may_use(world: World) -> None:
    """One request, its prompt, and the output it asked for."""
    admitted = await world.admit("a", REQUESTS_1H, TOKENS_1D, prompt=100, output=500)

    assert isinstance(admitted, Admitted)
    assert (500, NOON) == (admitted.output_tokens, admitted.now_s)
    assert [(NOON, 0, 1), (NOON, 0, 600)] == [(s.started_at_s, s.used, s.held) for s in admitted.standings]
    assert (REQUESTS_1H, TOKENS_1D) == tuple(s.counter for s in admitted.standings)


async def test_what_is_used_up_refuses(world: World) -> None:
    """Two an hour are two an hour; a request in flight counts as made."""
    await world.admit("a", REQUESTS_1H)
    await world.settle("a")
    await world.admit("b", REQUESTS_1H, at=NOON + 60)
    denied = await world.admit("c", REQUESTS_1H, at=NOON + 600)

    assert isinstance(denied, Denied)
    assert (REQUESTS_1H, 3_000.0) == (denied.by, denied.retry_after_s)
    assert not denied.is_held and not denied.is_too_large
    assert [(NOON, 1, 1)] == [(s.started_at_s, s.used, s.held) for s in denied.standings]


async def test_the_promised_retry_is_exact(world: World) -> None:
    """Refused one millisecond before the promised moment, admitted at it."""
    for call in ("a", "b"):
        await world.admit(call, REQUESTS_1H)
    denied = await world.admit("c", REQUESTS_1H, at=NOON + 0.25)
    assert isinstance(denied, Denied) and denied.retry_after_s is not None
    promised = NOON + 0.25 + denied.retry_after_s

    assert isinstance(await world.admit("d", REQUESTS_1H, at=promised - 0.001), Denied)
    assert isinstance(await world.admit("e", REQUESTS_1H, at=promised), Admitted)


async def test_of_several_limits_the_last_to_open_is_told(world: World) -> None:
    """The hour is full and the day is full: it is the day that matters."""
    hour, day = replace(REQUESTS_1H, amount=2), replace(REQUESTS_1D, amount=2)
    for call in ("a", "b"):
        await world.admit(call, hour, day)
    denied = await world.admit("c", hour, day, at=NOON + 10)

    assert isinstance(denied, Denied)
    assert (day, DAY_S - 10.0) == (denied.by, denied.retry_after_s)


async def test_a_refusal_takes_nothing(world: World) -> None:
    """Refused by the last of its limits, a call leaves the first as they were."""
    await world.admit("a", REQUESTS_1H, TOKENS_1D, prompt=900)
    await world.settle("a", 900)

    assert isinstance(await world.admit("b", REQUESTS_1H, TOKENS_1D, prompt=101), Denied)
    assert [(1, 0), (900, 0)] == await world.used_and_held(REQUESTS_1H, TOKENS_1D)


async def test_a_limit_of_0_is_closed(world: World) -> None:
    """Nobody is told to wait for it."""
    closed = replace(REQUESTS_1H, amount=0)
    denied = await world.admit("a", closed)

    assert isinstance(denied, Denied)
    assert (closed, None, False) == (denied.by, denied.retry_after_s, denied.is_too_large)


@pytest.mark.parametrize("prompt", [0, 100])
async def test_closed_tokens_are_not_a_prompt_too_large(world: World, prompt: int) -> None:
    """No prompt would be small enough."""
    denied = await world.admit("a", replace(TOKENS_1D, amount=0), prompt=prompt)

    assert isinstance(denied, Denied)
    assert (None, False, False) == (denied.retry_after_s, denied.is_held, denied.is_too_large)


async def test_what_is_used_up_is_closed_to_calls_that_ask_nothing(world: World) -> None:
    """A model without a known price is no way around a budget."""
    await world.admit("a", USD_1D)
    await world.settle("a", nano_usd=1_000_000)

    denied = await world.admit("b", USD_1D)
    assert isinstance(denied, Denied)
    assert float(DAY_S) == denied.retry_after_s


async def test_a_window_starts_with_its_first_call(world: World) -> None:
    """And ends its length later, whatever the hour on the clock."""
    await world.admit("a", REQUESTS_1H, at=NOON + 123)
    await world.settle("a", at=NOON + 130)

    assert [(1, 0)] == await world.used_and_held(REQUESTS_1H, at=NOON + 123 + HOUR_S - 0.001)
    assert [(0, 0)] == await world.used_and_held(REQUESTS_1H, at=NOON + 123 + HOUR_S)


async def test_a_window_starts_with_the_first_call_that_is_kept(world: World) -> None:
    """One that failed starts nothing."""
    await world.admit("a", REQUESTS_1H)
    await world.fail("a", at=NOON + 1)
    admitted = await world.admit("b", REQUESTS_1H, at=NOON + 50)

    assert isinstance(admitted, Admitted)
    assert NOON + 50 == admitted.standings[0].started_at_s


async def test_what_is_not_limited_is_counted(world: World) -> None:
    """Premium has no limits; its figures are told all the same."""
    counters = (replace(REQUESTS_1H, amount=None), replace(TOKENS_1D, amount=None))
    for call in ("a", "b", "c"):
        admitted = await world.admit(call, *counters, prompt=10_000, output=None)
        assert isinstance(admitted, Admitted) and admitted.output_tokens is None
        await world.settle(call, 12_345)

    assert [(3, 0), (37_035, 0)] == await world.used_and_held(*counters)


async def test_without_counters_everything_is_admitted(world: World) -> None:
    """And settled, with its record."""
    assert isinstance(await world.admit("a"), Admitted)
    assert await world.settle("a") is not None
    assert 1 == await world.worker().pending()


async def test_accounts_do_not_share(world: World) -> None:
    """One account's limits say nothing about another's."""
    for call in ("a", "b"):
        await world.admit(call, REQUESTS_1H)

    assert isinstance(await world.admit("c", REQUESTS_1H), Denied)
    assert isinstance(await world.admit("d", REQUESTS_1H, account="ben"), Admitted)


async def test_limits_of_another_tier_keep_counting(world: World) -> None:
    """An upgrade for an hour does not wipe what the old tier had counted for the day."""
    month = Counter(Unit.USD, 30 * DAY_S, 1_000)
    await world.admit("a", month)
    await world.settle("a", nano_usd=1_000)
    await world.admit("b", REQUESTS_1H, at=NOON + 5)
    await world.settle("b", at=NOON + 6)

    assert isinstance(await world.admit("c", month, at=NOON + 7), Denied)


async def test_an_admission_said_twice_holds_once(world: World) -> None:
    """The second answer is that of the first."""
    first = await world.admit("a", REQUESTS_1H, TOKENS_1D, output=300)
    again = await world.admit("a", REQUESTS_1H, TOKENS_1D, output=300)

    assert first == again
    assert [(0, 1), (0, 400)] == await world.used_and_held(REQUESTS_1H, TOKENS_1D)


async def test_a_clock_set_back_forgets_nothing(world: World) -> None:
    """What was used stays used, and what was held is given back."""
    for call in ("a", "b"):
        await world.admit(call, REQUESTS_1H)
    assert isinstance(await world.admit("c", REQUESTS_1H, at=NOON - 7_200), Denied)
    await world.fail("b", at=NOON - 7_200)

    assert [(0, 1)] == await world.used_and_held(REQUESTS_1H, at=NOON - 7_200)


async def test_the_largest_amounts_are_exact(world: World) -> None:
    """To the last token of 2^53 - 1, where floating point begins to skip."""
    most = 2**53 - 1
    tokens = replace(TOKENS_1D, amount=most)
    admitted = await world.admit("a", tokens, prompt=1, output=most)
    assert isinstance(admitted, Admitted)
    assert most - 1 == admitted.output_tokens
    await world.settle("a", most - 1_000)

    assert isinstance(await world.admit("b", tokens, prompt=1_001), Denied)
    assert isinstance(await world.admit("c", tokens, prompt=1_000), Admitted)
    assert [(most - 1_000, 1_000)] == await world.used_and_held(tokens)


async def test_moments_are_exact(world: World) -> None:
    """To the millisecond, also on the store's own clock."""
    admitted = await world.admit("a", REQUESTS_1H, at=None)

    assert isinstance(admitted, Admitted)
    assert admitted.now_s == admitted.standings[0].started_at_s
    assert admitted.now_s * 1_000 == pytest.approx(round(admitted.now_s * 1_000), abs=0.001)
    assert admitted.now_s > NOON - 10 * 365 * DAY_S
