"""Retries are not new requests (spec C5)."""

from dataclasses import replace

import pytest

from scalix_callbacks.core.limits import ATTEMPTS_WITHIN_S, Admitted, Attempt, Denied
from scalix_callbacks.core.tiers import DAY_S, HOUR_S
from tests.contract.world import NOON, REQUESTS_1D, REQUESTS_1H, TOKENS_1D, World

ONE_AN_HOUR = replace(REQUESTS_1H, amount=1)


def attempt(number: int, body: str = "body", request: str = "r") -> Attempt:
    return Attempt(request, number, body)


async def test_attempts_of_one_request_count_once(world: World) -> None:
    """Three tries, the last of which succeeds, are one request of the one that is left; tokens add up."""
    for number, call in enumerate("abc", start=1):
        decision = await world.admit(call, ONE_AN_HOUR, TOKENS_1D, attempt=attempt(number))
        assert isinstance(decision, Admitted)
        assert 1 == decision.standings[0].held
    await world.settle("a", 10, is_counted=False)
    await world.settle("b", 20, is_counted=False)
    assert [(0, 1), (30, 100)] == await world.used_and_held(ONE_AN_HOUR, TOKENS_1D)

    settled = await world.settle("c", 30)
    assert settled is not None and settled.is_counted
    assert [(1, 0), (60, 0)] == await world.used_and_held(ONE_AN_HOUR, TOKENS_1D)


async def test_only_the_first_success_counts(world: World) -> None:
    """Two attempts at once both succeed: one request."""
    for number, call in enumerate("ab", start=1):
        await world.admit(call, REQUESTS_1H, attempt=attempt(number))
    first, second = await world.settle("a"), await world.settle("b")

    assert first is not None and first.is_counted
    assert second is not None and not second.is_counted
    assert [(1, 0)] == await world.used_and_held(REQUESTS_1H)
    assert [True, False] == [entry.is_counted for entry in await world.worker().read_outbox(10)]


async def test_the_request_is_given_back_with_the_last_failure(world: World) -> None:
    """Not with the first."""
    for number, call in enumerate("ab", start=1):
        await world.admit(call, REQUESTS_1H, attempt=attempt(number))

    await world.fail("a")
    assert [(0, 1)] == await world.used_and_held(REQUESTS_1H)
    await world.fail("b")
    assert [(0, 0)] == await world.used_and_held(REQUESTS_1H)


async def test_a_later_attempt_takes_the_request_again(world: World) -> None:
    """The app tries, fails, and tries again; the window starts with what is kept."""
    await world.admit("a", REQUESTS_1H, attempt=attempt(1))
    await world.fail("a")
    admitted = await world.admit("b", REQUESTS_1H, attempt=attempt(2), at=NOON + 30)

    assert isinstance(admitted, Admitted)
    assert [(NOON + 30, 1)] == [(s.started_at_s, s.held) for s in admitted.standings]
    await world.settle("b", at=NOON + 31)
    assert [(1, 0)] == await world.used_and_held(REQUESTS_1H, at=NOON + 32)


async def test_taking_it_again_may_be_refused(world: World) -> None:
    """Another call has taken the place meanwhile."""
    await world.admit("a", ONE_AN_HOUR, attempt=attempt(1))
    await world.fail("a")
    await world.admit("b", ONE_AN_HOUR)

    assert isinstance(await world.admit("c", ONE_AN_HOUR, attempt=attempt(2)), Denied)


@pytest.mark.parametrize(
    "other",
    [
        attempt(1),
        attempt(2, body="other body"),
        attempt(2, request="s"),
        attempt(4),
        attempt(0),
        None,
    ],
    ids=["same number", "other body", "other request", "above 3", "below 1", "none"],
)
async def test_what_is_a_request_of_its_own(world: World, other: Attempt | None) -> None:
    """Whatever is not the next try of the same thing."""
    await world.admit("a", ONE_AN_HOUR, attempt=attempt(1))

    assert isinstance(await world.admit("b", ONE_AN_HOUR, attempt=other), Denied)


async def test_another_accounts_attempt_is_a_request_of_its_own(world: World) -> None:
    """Ids are the client's to choose."""
    await world.admit("a", ONE_AN_HOUR, attempt=attempt(1))
    await world.admit("b", ONE_AN_HOUR, attempt=attempt(2), account="ben")

    assert [(0, 1)] == await world.used_and_held(ONE_AN_HOUR, account="ben")


async def test_a_refused_attempt_may_be_tried_again(world: World) -> None:
    """A refusal takes nothing, nor its number."""
    await world.admit("a", ONE_AN_HOUR, TOKENS_1D, attempt=attempt(1), prompt=900)
    assert isinstance(await world.admit("b", ONE_AN_HOUR, TOKENS_1D, attempt=attempt(2), prompt=900), Denied)
    await world.fail("a")

    assert isinstance(
        await world.admit("c", ONE_AN_HOUR, TOKENS_1D, attempt=attempt(2), prompt=900), Admitted
    )


async def test_after_a_success_each_attempt_is_a_request_of_its_own(world: World) -> None:
    """The answer was given; whoever asks again asks for more."""
    await world.admit("a", REQUESTS_1D, attempt=attempt(1))
    await world.settle("a")
    await world.admit("b", REQUESTS_1D, attempt=attempt(2))
    await world.admit("c", REQUESTS_1D, attempt=attempt(3))

    assert [(1, 2)] == await world.used_and_held(REQUESTS_1D)


@pytest.mark.parametrize(("after_s", "held"), [(ATTEMPTS_WITHIN_S - 1.0, 1), (ATTEMPTS_WITHIN_S, 2)])
async def test_attempts_count_as_one_for_ten_minutes(world: World, after_s: float, held: int) -> None:
    """While the first is still open, too."""
    await world.admit("a", REQUESTS_1H, attempt=attempt(1))
    await world.admit("b", REQUESTS_1H, attempt=attempt(2), at=NOON + after_s)

    assert [(0, held)] == await world.used_and_held(REQUESTS_1H, at=NOON + after_s)


async def test_an_id_may_be_used_again_after_ten_minutes(world: World) -> None:
    """It is a new request then, with three attempts of its own."""
    await world.admit("a", REQUESTS_1H, attempt=attempt(1))
    await world.settle("a")
    await world.admit("b", REQUESTS_1H, attempt=attempt(1), at=NOON + ATTEMPTS_WITHIN_S)
    await world.admit("c", REQUESTS_1H, attempt=attempt(2), at=NOON + ATTEMPTS_WITHIN_S + 1)

    assert [(1, 1)] == await world.used_and_held(REQUESTS_1H, at=NOON + ATTEMPTS_WITHIN_S + 2)


async def test_the_promise_knows_when_attempts_end(world: World) -> None:
    """When the tokens come back this is an attempt no more and needs a request of its own: none is left."""
    tokens = replace(TOKENS_1D, window_s=HOUR_S)
    one_a_day = replace(REQUESTS_1D, amount=1)
    await world.admit("a", one_a_day, tokens, attempt=attempt(1))
    await world.settle("a", 950, is_counted=False)
    await world.admit("b", one_a_day, attempt=attempt(2), at=NOON + 10)
    denied = await world.admit("c", one_a_day, tokens, attempt=attempt(3), at=NOON + 20)

    assert isinstance(denied, Denied)
    assert (tokens, DAY_S - 10.0) == (denied.by, denied.retry_after_s)


async def test_an_upgrade_between_attempts_holds_what_is_new(world: World) -> None:
    """The second attempt has a limit the first did not know: the request is held on it, too."""
    await world.admit("a", REQUESTS_1H, attempt=attempt(1))
    await world.admit("b", REQUESTS_1H, REQUESTS_1D, attempt=attempt(2))
    assert [(0, 1), (0, 1)] == await world.used_and_held(REQUESTS_1H, REQUESTS_1D)
    await world.fail("a")
    await world.fail("b")

    assert [(0, 0), (0, 0)] == await world.used_and_held(REQUESTS_1H, REQUESTS_1D)


async def test_another_tier_after_all_failed_gives_back_only_its_own(world: World) -> None:
    """What the first attempt held and gave back is not given back again."""
    await world.admit("a", REQUESTS_1H, REQUESTS_1D, attempt=attempt(1))
    await world.admit("other", REQUESTS_1H, REQUESTS_1D)
    await world.fail("a")
    await world.admit("b", REQUESTS_1H, attempt=attempt(2))
    await world.fail("b")

    assert [(0, 1), (0, 1)] == await world.used_and_held(REQUESTS_1H, REQUESTS_1D)


async def test_a_request_counts_where_it_was_held(world: World) -> None:
    """The hour ended between two attempts: the request is the old hour's, the new one has all its calls."""
    await world.admit("first of the hour", REQUESTS_1H, REQUESTS_1D)
    await world.admit("a", REQUESTS_1H, REQUESTS_1D, attempt=attempt(1), at=NOON + HOUR_S - 1)
    await world.admit("b", REQUESTS_1H, REQUESTS_1D, attempt=attempt(2), at=NOON + HOUR_S + 1)
    assert [(0, 0), (0, 2)] == await world.used_and_held(REQUESTS_1H, REQUESTS_1D, at=NOON + HOUR_S + 1)
    await world.settle("b", at=NOON + HOUR_S + 2)

    assert [(0, 0), (1, 1)] == await world.used_and_held(REQUESTS_1H, REQUESTS_1D, at=NOON + HOUR_S + 2)
