"""What the app shows its user of plan and limits."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from scalix_callbacks.core.caller import OPERATOR, Caller, Role
from scalix_callbacks.core.errors import GatewayError
from scalix_callbacks.core.limits import Counter, Standing
from scalix_callbacks.core.tiers import DAY_S, DEFAULT_TIERS, HOUR_S, Feature, LimitOverride, Unit
from scalix_callbacks.store.errors import StoreLost
from scalix_callbacks.web.user import user_page
from tests.web.used import get

NOON_S = 1_896_091_200.0
"""2030-01-31T12:00:00Z"""


class Store:
    """Counters that began at noon, with these amounts used."""

    def __init__(self, **used: int) -> None:
        self._used = used
        self.asked: list[tuple[str, int]] = []
        self.is_lost = False

    async def standings(
        self, account_id: str, counters: Sequence[Counter]
    ) -> tuple[Sequence[Standing], float]:
        if self.is_lost:
            raise StoreLost
        self.asked.append((account_id, len(counters)))
        used = {counter.id: self._used.get(counter.id.replace(":", "_"), 0) for counter in counters}
        return [Standing(each, NOON_S, used[each.id], 0) for each in counters], NOON_S + 60


async def read(store: Store, caller: Caller) -> Any:
    page = user_page(DEFAULT_TIERS, store, lambda caller: {"liteLLM": caller.id == "ada"})
    return (await get(page, caller=caller)).json()


def user(tier: str) -> Caller:
    return Caller(id="ada", tier=tier, role=Role.USER)


async def test_a_user_sees_plan_and_limits() -> None:
    """Every limit of the plan with what is left of it and when it begins anew."""
    store = Store(requests_3600=3, requests_86400=15, tokens_86400=240)

    assert {
        "user_id": "ada",
        "tier": "free",
        "limits": [
            {
                "unit": "requests",
                "window_s": 3_600,
                "limit": 10,
                "used": 3,
                "remaining": 7,
                "resets_at": "2030-01-31T13:00:00.000Z",
            },
            {
                "unit": "requests",
                "window_s": 86_400,
                "limit": 50,
                "used": 15,
                "remaining": 35,
                "resets_at": "2030-02-01T12:00:00.000Z",
            },
            {
                "unit": "tokens",
                "window_s": 86_400,
                "limit": 10_000,
                "used": 240,
                "remaining": 9_760,
                "resets_at": "2030-02-01T12:00:00.000Z",
            },
        ],
        "usage": {
            "requests_today": 15,
            "requests_this_hour": 3,
            "tokens_used": 240,
            "remaining_requests": 7,
            "remaining_today": 35,
            "remaining_this_hour": 7,
            "remaining_tokens": 9_760,
            "resets_at": "2030-01-31T13:00:00.000Z",
        },
        "features": [],
        "upgrade_prompt": False,
        "flags": {"liteLLM": True},
    } == await read(store, user("free"))
    assert [("ada", 3)] == store.asked


@pytest.mark.parametrize(("used", "is_prompted"), [(7, False), (8, True), (10, True)])
async def test_from_80_percent_on_it_prompts_to_upgrade(used: int, is_prompted: bool) -> None:
    """As every answer does then."""
    told = await read(Store(requests_3600=used), user("free"))

    assert is_prompted == told["upgrade_prompt"]
    assert is_prompted == ("[Upgrade to Pro](https://scalix.world/pro)" in told.get("upgrade_message", ""))


async def test_a_pro_user_sees_what_pro_has() -> None:
    """The day's requests are not limited there, and only counted."""
    told = await read(Store(requests_86400=200), user("pro"))

    assert ["advanced_reasoning", "full_analytics", "lazy_edits", "smart_context"] == told["features"]
    assert [("requests", 3_600, 100), ("tokens", 86_400, 100_000)] == [
        (limit["unit"], limit["window_s"], limit["limit"]) for limit in told["limits"]
    ]
    assert (200, None) == (told["usage"]["requests_today"], told["usage"]["remaining_today"])


async def test_the_operator_has_no_limits() -> None:
    """But is counted, too."""
    told = await read(Store(requests_86400=200), OPERATOR)

    assert ("operator", None, [], False) == tuple(
        told[name] for name in ("user_id", "tier", "limits", "upgrade_prompt")
    )
    assert sorted(feature.value for feature in Feature) == told["features"]
    assert (200, None) == (told["usage"]["requests_today"], told["usage"]["remaining_today"])


async def test_a_store_that_is_away_is_said_so() -> None:
    """Unknown is not "nothing used"."""
    store = Store()
    store.is_lost = True
    with pytest.raises(GatewayError) as refusal:
        await read(store, user("free"))

    assert (503, 5.0) == (refusal.value.status, refusal.value.retry_after_s)


async def test_an_account_sees_its_own_limits() -> None:
    """Those the operator gave it, in place of its plan's."""
    own = (LimitOverride(Unit.REQUESTS, HOUR_S, 500), LimitOverride(Unit.TOKENS, DAY_S, None))
    told = await read(Store(requests_3600=15), replace(user("free"), limit_overrides=own))

    assert [("requests", 3_600, 500, 485), ("requests", 86_400, 50, 50)] == [
        (limit["unit"], limit["window_s"], limit["limit"], limit["remaining"]) for limit in told["limits"]
    ]
    assert told["usage"]["remaining_tokens"] is None
    assert not told["upgrade_prompt"]
