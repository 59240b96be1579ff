"""What a call held is replaced by what it used; once."""

from dataclasses import replace

import pytest

from scalix_callbacks.core.limits import Admitted, Denied, Settled
from scalix_callbacks.core.tiers import DAY_S, HOUR_S
from scalix_callbacks.store.limiter import LEASE_S
from tests.contract.world import NOON, REQUESTS_1D, REQUESTS_1H, TOKENS_1D, USD_1D, World


async def test_a_call_is_settled_to_what_it_used(world: World) -> None:
    """And holds nothing any more."""
    await world.admit("a", REQUESTS_1H, TOKENS_1D, USD_1D, output=500, prompt_nano_usd=9, output_nano_usd=2)
    settled = await world.settle("a", 180, nano_usd=77, at=NOON + 3)

    assert isinstance(settled, Settled) and settled.is_counted
    assert [(REQUESTS_1H, 1, 0), (TOKENS_1D, 180, 0), (USD_1D, 77, 0)] == [
        (s.counter, s.used, s.held) for s in settled.standings
    ]
    assert [NOON] * 3 == [s.started_at_s for s in settled.standings]


async def test_a_failed_call_gives_everything_back(world: World) -> None:
    """As if it had never been."""
    await world.admit("a", REQUESTS_1H, TOKENS_1D, output=500)
    settled = await world.fail("a")

    assert isinstance(settled, Settled) and not settled.is_counted
    assert [(0, 0), (0, 0)] == await world.used_and_held(REQUESTS_1H, TOKENS_1D)


async def test_a_call_is_settled_once(world: World) -> None:
    """The second time there is nothing to settle, and no second record."""
    await world.admit("a", REQUESTS_1H, TOKENS_1D)
    await world.settle("a", 50)

    assert await world.settle("a", 70) is None
    assert await world.fail("a") is None
    assert [(1, 0), (50, 0)] == await world.used_and_held(REQUESTS_1H, TOKENS_1D)
    assert 1 == await world.worker().pending()


async def test_a_call_that_was_refused_has_nothing_to_settle(world: World) -> None:
    """Nor has one that never was."""
    await world.admit("a", replace(REQUESTS_1H, amount=0))

    assert await world.settle("a", 50) is None
    assert 0 == await world.worker().pending()


async def test_more_than_was_held_may_be_used(world: World) -> None:
    """An estimate may err; then the next call is refused."""
    await world.admit("a", TOKENS_1D, prompt=900, output=100)
    await world.settle("a", 1_250)

    assert [(1_250, 0)] == await world.used_and_held(TOKENS_1D)
    assert isinstance(await world.admit("b", TOKENS_1D, prompt=0), Denied)


async def test_a_window_that_is_over_takes_nothing(world: World) -> None:
    """A long call is charged to the day it began in; the hour it began in is gone."""
    await world.admit("a", REQUESTS_1H, REQUESTS_1D)
    await world.settle("a", at=NOON + HOUR_S)

    assert [(0, 0), (1, 0)] == await world.used_and_held(REQUESTS_1H, REQUESTS_1D, at=NOON + HOUR_S)


async def test_a_window_that_followed_is_left_alone(world: World) -> None:
    """What the long call held was in another window."""
    await world.admit("a", REQUESTS_1H, TOKENS_1D)
    await world.admit("b", REQUESTS_1H, at=NOON + HOUR_S)
    await world.settle("a", 10, at=NOON + HOUR_S + 1)

    assert [(0, 1), (10, 0)] == await world.used_and_held(REQUESTS_1H, TOKENS_1D, at=NOON + HOUR_S + 2)


async def test_a_call_that_held_nothing_is_counted_in_its_window(world: World) -> None:
    """A call of unknown size: nothing kept the window open but the call itself."""
    tokens = replace(TOKENS_1D, amount=None)
    admitted = await world.admit("a", tokens, prompt=0, output=0)
    await world.settle("a", 40, at=NOON + 100)

    assert isinstance(admitted, Admitted)
    assert [(40, 0)] == await world.used_and_held(tokens, at=NOON + DAY_S - 1)
    assert [(0, 0)] == await world.used_and_held(tokens, at=NOON + DAY_S)


async def test_a_clock_set_back_into_a_window_finds_it_settled(world: World) -> None:
    """The call ended after its window; that window holds nothing when the clock returns to it."""
    await world.admit("a", REQUESTS_1H)
    await world.settle("a", at=NOON + HOUR_S + 5)

    assert [(1, 0)] == await world.used_and_held(REQUESTS_1H, at=NOON + 5)


async def test_negative_amounts_are_refused(world: World) -> None:
    """A mistake of the caller must not give anything back."""
    await world.admit("a", TOKENS_1D)

    with pytest.raises(ValueError, match="negative"):
        await world.settle("a", -1)
    assert [(0, 100)] == await world.used_and_held(TOKENS_1D)


async def test_a_call_without_an_admission_is_drained(world: World) -> None:
    """It went on while the store was lost: counted also beyond the limit, recorded, once."""
    await world.admit("a", REQUESTS_1H, TOKENS_1D)
    await world.settle("a", 950)
    denied = await world.admit("b", REQUESTS_1H, TOKENS_1D, at=NOON + 5)
    assert isinstance(denied, Denied)

    drained = await world.drain("b", 300, at=NOON + 9)
    again = await world.drain("b", 300, at=NOON + 9)

    assert drained is not None and again is None
    assert [(NOON, 2), (NOON, 1_250)] == [(s.started_at_s, s.used) for s in drained.standings]
    assert 2 == await world.worker().pending()


async def test_draining_settles_an_admission_that_came_through(world: World) -> None:
    """Its answer was lost, not it; what it held is not left behind, and saying it again counts nothing."""
    await world.admit("a", REQUESTS_1H, TOKENS_1D, output=500)
    drained = await world.drain("a", 120)
    again = await world.drain("a", 120)

    assert drained is not None and again is None
    assert [(1, 0), (120, 0)] == await world.used_and_held(REQUESTS_1H, TOKENS_1D)
    assert await world.settle("a", 120) is None
    assert 1 == await world.worker().pending()


async def test_a_call_that_was_given_up_is_drained_once(world: World) -> None:
    """Its admission came through, its worker stalled, and then could not hear whether it was understood."""
    await world.admit("a", REQUESTS_1H, TOKENS_1D, output=500)
    assert 1 == await world.worker("two").reap(now_s=NOON + LEASE_S)

    drained = await world.drain("a", 120, at=NOON + LEASE_S)
    again = await world.drain("a", 120, at=NOON + LEASE_S)

    assert drained is not None and again is None
    assert [(1, 0), (120, 0)] == await world.used_and_held(REQUESTS_1H, TOKENS_1D, at=NOON + LEASE_S)
    assert 2 == await world.worker().pending()


async def test_an_unknown_admission_is_released(world: World) -> None:
    """Everything is given back, and nothing recorded."""
    await world.admit("a", REQUESTS_1H, TOKENS_1D)
    await world.release("a")

    assert [(0, 0), (0, 0)] == await world.used_and_held(REQUESTS_1H, TOKENS_1D)
    assert 0 == await world.worker().pending()
    assert await world.settle("a") is None
