"""What went on while Redis was away is no call of one worker's alone any more, once Redis is back."""

from typing import Any

import pytest

from scalix_callbacks.core.call import Call
from scalix_callbacks.core.limits import Ask, Decision
from scalix_callbacks.core.record import Outcome, record_of_abandoned
from scalix_callbacks.store.limiter import LEASE_S
from scalix_callbacks.store.memory import MemoryLimiter
from tests.test_metering import NOW_S, USED, Desk

PROMPT = 9
"""Tokens: the estimate of the desk's prompt."""
HELD = 2 + PROMPT + 50
"""A request an hour and a day, and tokens; the tier lets the answer have 50."""


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def goes_on(desk: Desk, **fields: Any) -> Call:
    """A call of a paid plan that begins while Redis is away; then Redis is back."""
    desk.store.is_lost = True
    call = await desk.admit("pro", **fields)
    desk.store.is_lost = False
    desk.elapsed_s += 10
    return call


async def given_up(desk: Desk) -> list[Any]:
    """What other workers record of this one, should it have died."""
    other = MemoryLimiter(desk.store._store, "w-9", record_of_abandoned)
    await other.reap(now_s=NOW_S + LEASE_S)
    return [entry.record for entry in await other.read_outbox(9)]


async def test_it_is_recorded_should_its_worker_die(desk: Desk) -> None:
    """As abandoned, with its estimated prompt, as calls are that began in time."""
    call = await goes_on(desk)
    before = await given_up(desk)
    await desk.adrift.tell()
    (record,) = await given_up(desk)

    assert [] == before
    assert call.ask is not None
    assert (call.ask.call_id, "abandoned", PROMPT) == (
        record["call_id"],
        record["outcome"],
        record["prompt_tokens"],
    )
    assert (0, PROMPT, 0) == await desk.used("pro")


async def test_it_holds_what_it_may_use_until_it_ends(desk: Desk) -> None:
    """Whatever the limits; its end is counted as ever, and nothing stays held."""
    for _ in range(4):
        await desk.meter.settle(await desk.admit("pro"), Outcome.OK, USED)
    call = await goes_on(desk)
    await desk.adrift.tell()
    await desk.adrift.tell()
    held = await desk.used("pro")
    await desk.meter.settle(call, Outcome.OK, USED)

    assert (4, 120, HELD) == held
    assert (5, 150, 0) == await desk.used("pro")
    assert (0, 5) == (len(desk.adrift), await desk.store.pending())


async def test_one_that_has_ended_is_not_begun_again(desk: Desk) -> None:
    """Its end, and what tells that it is open, may pass each other on the way."""
    call = await goes_on(desk)
    desk.breaker.succeeded()  # of another call
    admit = desk.store.admit

    async def late(ask: Ask, **now: Any) -> Decision:
        await desk.meter.settle(call, Outcome.OK, USED)
        return await admit(ask)

    desk.store.admit = late  # type: ignore[method-assign]
    await desk.adrift.tell()

    assert (1, 30, 0) == await desk.used("pro")
    assert not desk.breaker.is_open
    assert [] == [record for record in await given_up(desk) if record["outcome"] == "abandoned"]


async def test_an_attempt_is_counted_as_its_worker_saw_it(desk: Desk) -> None:
    """Of two attempts of one request the first counts, though Redis knows but one of them in time."""
    call = await goes_on(desk, client_request_id="u:attempt-1")
    desk.store.is_lost = True
    second = await desk.admit("pro", client_request_id="u:attempt-2")
    desk.store.is_lost = False
    desk.elapsed_s += 10
    await desk.meter.settle(call, Outcome.OK, USED)
    await desk.adrift.tell()
    await desk.meter.settle(second, Outcome.OK, USED)

    assert (1, 60, 0) == await desk.used("pro")
    assert [1, 0] == [record["requests_counted"] for record in desk.kept.values()]


async def test_it_is_told_again_until_redis_hears_it(desk: Desk) -> None:
    """One try a second while Redis stays away."""
    await goes_on(desk)
    desk.store.is_lost = True
    asked = desk.store.asked
    for _ in range(3):
        await desk.adrift.tell()
    desk.store.is_lost = False
    desk.elapsed_s += 10
    await desk.adrift.tell()

    assert (2, 0) == (desk.store.asked - asked, len(desk.adrift))


async def test_whose_admission_came_through_holds_once(desk: Desk) -> None:
    """Redis did hear of it; only the answer was lost."""
    desk.store.is_lost_after = True
    await desk.admit("pro")
    desk.store.is_lost_after = False
    desk.elapsed_s += 10
    await desk.adrift.tell()

    assert (0, 0, HELD) == await desk.used("pro")
