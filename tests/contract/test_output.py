"""What a call may still say is lowered to what is left, not refused, down to what is worth it (spec C4)."""

from dataclasses import replace

import pytest

from scalix_callbacks.core.limits import HELD_RETRY_S, Admitted, Counter, Denied
from scalix_callbacks.core.tiers import DAY_S, Unit
from scalix_callbacks.store.limiter import LEASE_S
from tests.contract.world import NOON, REQUESTS_1H, TOKENS_1D, USD_1D, World


@pytest.mark.parametrize(
    ("asked", "got"),
    [(899, 899), (900, 900), (901, 900), (1_000_000, 900), (None, 900), (0, 0)],
)
async def test_the_output_is_lowered_to_what_is_left(
    world: World, asked: int | None, got: int | None
) -> None:
    """1,000 tokens, 100 of them for the prompt; asking for no limit is asking for all."""
    admitted = await world.admit("a", TOKENS_1D, prompt=100, output=asked)

    assert isinstance(admitted, Admitted)
    assert got == admitted.output_tokens


async def test_the_tightest_limit_counts(world: World) -> None:
    """501 nano-USD are left for output, at 3 each: 167 of it, below what is worth it; 901 are 300."""
    budget = replace(USD_1D, amount=1_001)
    tokens = replace(TOKENS_1D, amount=10_000)
    denied = await world.admit("a", tokens, budget, output=800, prompt_nano_usd=500, output_nano_usd=3)
    admitted = await world.admit("b", tokens, budget, output=800, prompt_nano_usd=100, output_nano_usd=3)

    assert isinstance(denied, Denied)
    assert (budget, None) == (denied.by, denied.retry_after_s)
    assert isinstance(admitted, Admitted)
    assert 300 == admitted.output_tokens
    assert [400, 1_000] == [standing.held for standing in admitted.standings]


@pytest.mark.parametrize(
    ("left", "asked", "is_admitted"), [(256, 257, True), (255, 256, False), (200, 200, True)]
)
async def test_fewer_than_256_are_not_worth_a_call_that_asks_for_more(
    world: World, left: int, asked: int, is_admitted: bool
) -> None:
    """But enough for one that asks for no more than that."""
    await world.admit("a", TOKENS_1D, prompt=0)
    await world.settle("a", 1_000 - 100 - left)
    decision = await world.admit("b", TOKENS_1D, prompt=100, output=asked, at=NOON + 40)

    assert is_admitted == isinstance(decision, Admitted)
    if isinstance(decision, Denied):
        assert (DAY_S - 40.0, False) == (decision.retry_after_s, decision.is_held)


async def test_a_prompt_above_the_limit_itself_is_too_large(world: World) -> None:
    """Waiting would not help; nor does it matter what else is used up."""
    for call in ("a", "b"):
        await world.admit(call, REQUESTS_1H)
    denied = await world.admit("c", REQUESTS_1H, TOKENS_1D, prompt=1_001)

    assert isinstance(denied, Denied)
    assert (TOKENS_1D, None, True) == (denied.by, denied.retry_after_s, denied.is_too_large)


async def test_a_prompt_that_leaves_no_room_is_never_admitted(world: World) -> None:
    """It fits, but not with an answer that is worth it; a shorter answer would do."""
    denied = await world.admit("a", TOKENS_1D, prompt=900, output=5_000)

    assert isinstance(denied, Denied)
    assert (None, False) == (denied.retry_after_s, denied.is_too_large)
    assert isinstance(await world.admit("b", TOKENS_1D, prompt=900, output=100), Admitted)


async def test_tokens_that_others_hold_are_worth_a_short_wait(world: World) -> None:
    """They come back when those calls end, long before the window does."""
    await world.admit("a", TOKENS_1D, prompt=100, output=None)
    denied = await world.admit("b", TOKENS_1D, prompt=100, output=300)

    assert isinstance(denied, Denied)
    assert (TOKENS_1D, True, HELD_RETRY_S) == (denied.by, denied.is_held, denied.retry_after_s)
    await world.settle("a", 150)
    assert isinstance(await world.admit("c", TOKENS_1D, prompt=100, output=300), Admitted)


async def test_what_others_hold_is_not_given_twice(world: World) -> None:
    """The output is lowered to what is really left, also while there is enough for a call."""
    await world.admit("a", TOKENS_1D, prompt=100, output=200)
    admitted = await world.admit("b", TOKENS_1D, prompt=100, output=None)

    assert isinstance(admitted, Admitted)
    assert (600, 1_000) == (admitted.output_tokens, admitted.standings[0].held)


async def test_what_is_not_limited_holds_no_more_than_can_be_counted(world: World) -> None:
    """Any number is taken from a client; sums of it stay whole, and come back to nothing."""
    tokens, usd = replace(TOKENS_1D, amount=None), replace(USD_1D, amount=None)
    for call in "abc":
        admitted = await world.admit(
            call,
            tokens,
            usd,
            prompt=2**60,
            output=2**60,
            prompt_nano_usd=2**60,
            output_nano_usd=999_999_999,
            worker="dead",
        )
        assert isinstance(admitted, Admitted)
        assert 2**53 - 1 == admitted.output_tokens
    assert [(0, 3 * 2**43)] * 2 == await world.used_and_held(tokens, usd)

    await world.settle("a", 7, nano_usd=7)
    assert [(7, 2 * 2**43)] * 2 == await world.used_and_held(tokens, usd)
    await world.worker("alive").reap(now_s=NOON + LEASE_S)
    assert [(2 * 2**43 + 7, 0)] * 2 == await world.used_and_held(tokens, usd)


async def test_what_is_used_up_weighs_more_than_what_is_held(world: World) -> None:
    """Of both in the way, the one that does not go away by itself is told."""
    one = replace(REQUESTS_1H, amount=1)
    await world.admit("a", one, TOKENS_1D, output=None)
    denied = await world.admit("b", one, TOKENS_1D, output=300)

    assert isinstance(denied, Denied)
    assert (one, False, 3_600.0) == (denied.by, denied.is_held, denied.retry_after_s)


async def test_money_that_others_hold_is_worth_a_short_wait(world: World) -> None:
    """As tokens."""
    budget = Counter(Unit.USD, DAY_S, 1_000)
    await world.admit("a", budget, prompt_nano_usd=900)
    denied = await world.admit("b", budget, prompt_nano_usd=200)

    assert isinstance(denied, Denied)
    assert denied.is_held
