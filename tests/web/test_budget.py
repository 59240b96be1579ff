"""What the app shows its user as credits."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from scalix_callbacks.core.call import CALL_IN_SCOPE, Call
from scalix_callbacks.core.caller import OPERATOR, Caller, Role
from scalix_callbacks.core.errors import ErrorCategory, GatewayError
from scalix_callbacks.core.tiers import DAY_S, DEFAULT_TIERS, LimitOverride, Unit
from scalix_callbacks.web.budget import budget_page, info_page
from tests.web.test_user import Store

MONTH, DAY = (LimitOverride(Unit.USD, window_s, 5 * 10**9) for window_s in (30 * DAY_S, DAY_S))


async def read(page: Callable[..., Any], store: Store, caller: Caller) -> Any:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await page(DEFAULT_TIERS, store)({**scope, CALL_IN_SCOPE: Call("r1", caller=caller)}, receive, send)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        answer = await client.get("/v1/user/info")
    assert (200, "no-store") == (answer.status_code, answer.headers["cache-control"])
    return answer.json()


def user(*limits: LimitOverride) -> Caller:
    return Caller(id="ada", tier="premium", role=Role.USER, limit_overrides=limits)


async def test_a_user_sees_spend_and_budget() -> None:
    """As numbers, and the moment the budget begins anew."""
    store = Store(usd_2592000=1_250_000_001)

    assert {
        "user_info": {
            "spend": 1.250000001,
            "max_budget": 5.0,
            "budget_reset_at": "2030-03-02T12:00:00.000Z",
        }
    } == await read(info_page, store, user(MONTH))


@pytest.mark.parametrize("caller", [user(), OPERATOR])
async def test_without_a_budget_the_spend_is_told_all_the_same(caller: Caller) -> None:
    """Nothing limits it, and nothing resets."""
    store = Store(usd_2592000=250_000_000)

    assert {"user_info": {"spend": 0.25, "max_budget": None, "budget_reset_at": None}} == await read(
        info_page, store, caller
    )


async def test_every_budget_is_told_exactly() -> None:
    """The one with the least left stands above the list of all."""
    told = await read(budget_page, Store(usd_86400=4_000_000_000, usd_2592000=1), user(MONTH, DAY))

    assert {
        "user_id": "ada",
        "spend_usd": "4.000000",
        "max_budget_usd": "5.000000",
        "remaining_usd": "1.000000",
        "window_s": 86_400,
        "budget_reset_at": "2030-02-01T12:00:00.000Z",
    } == {name: value for name, value in told.items() if name != "budgets"}
    assert [("4.999999999", 2_592_000), ("1.000000", 86_400)] == [
        (each["remaining"], each["window_s"]) for each in told["budgets"]
    ]


async def test_a_lost_store_tells_nothing() -> None:
    """Rather than something wrong."""
    store = Store()
    store.is_lost = True
    with pytest.raises(GatewayError) as caught:
        await read(info_page, store, user(MONTH))

    assert ErrorCategory.SERVICE_UNAVAILABLE is caught.value.category
