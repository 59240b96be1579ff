"""A call that the cache answered: it counts as a request, and uses nothing."""

import pytest

from scalix_callbacks.core.bodies import Screened
from scalix_callbacks.core.call import Call
from scalix_callbacks.core.caller import Caller, Role
from scalix_callbacks.core.pricing import FREE
from scalix_callbacks.core.record import Outcome
from scalix_callbacks.core.routes import Endpoint
from scalix_callbacks.core.usage import Usage
from tests.test_metering import NOW_S, USED, Desk

BODY = {"model": "m", "messages": [{"role": "user", "content": "Hello"}], "temperature": 0}


async def asked(desk: Desk, tier: str = "free", *, is_hit: bool = True, options: object = None) -> Call:
    call = Call(request_id="r", started_at_s=NOW_S, caller=Caller("ada", tier, Role.USER))
    screened = Screened(BODY, "m", False, options)  # type: ignore[arg-type]
    await desk.meter.admit(call, Endpoint.CHAT, screened)
    if call.cache is not None and is_hit:
        call.cache.is_hit, call.cache.model_used = True, "m2"
    return call


@pytest.mark.parametrize("outcome", [Outcome.OK, Outcome.ABORTED])
async def test_a_hit_counts_as_a_request_and_uses_nothing(outcome: Outcome) -> None:
    """Also where its client left early; its record names who had made the answer, and no provider."""
    desk = Desk()
    call = await asked(desk)
    await desk.meter.settle(call, outcome, USED, model_used="m", provider="openai", provider_rates=FREE)
    (record,) = desk.kept.values()

    assert (1, 0, 0) == await desk.used()
    assert [Outcome.CACHED] == desk.ended
    assert ("cached", 0, 0, 1, "0.000000", None, None, "m2") == tuple(
        record[name]
        for name in (
            "outcome",
            "prompt_tokens",
            "completion_tokens",
            "requests_counted",
            "price_usd",
            "provider_cost_usd",
            "provider",
            "model_used",
        )
    )
    assert "m2" == desk.meter.scalix(call, None)["model_selection"]["used"]


async def test_a_hit_that_failed_gives_its_request_back() -> None:
    """As any call that failed."""
    desk = Desk()
    await desk.meter.settle(await asked(desk), Outcome.ERROR, Usage(1, 1))

    assert (0, 0, 0) == await desk.used()


async def test_a_miss_is_charged_as_ever() -> None:
    """What its provider reports."""
    desk = Desk()
    await desk.meter.settle(await asked(desk, is_hit=False), Outcome.OK, USED)

    assert (1, 30, 0) == await desk.used()
    assert [Outcome.OK] == desk.ended


async def test_without_the_store_there_is_no_cache() -> None:
    """It lies there; nobody looks for it."""
    desk = Desk()
    desk.store.is_lost = True

    assert (await asked(desk, "pro")).cache is None
    await desk.comes_back()


async def test_options_of_the_pack_are_not_cached() -> None:
    """They may change what the model is asked."""
    desk = Desk()

    assert (await asked(desk, options={"files": []})).cache is None
