"""The object beside every answer, and the account's page."""

import orjson

from scalix_callbacks.core.figures import Figure
from scalix_callbacks.core.scalix_object import (
    ModelSelection,
    limit_object,
    scalix_object,
    usage_object,
    user_object,
)
from scalix_callbacks.core.tiers import DAY_S, DEFAULT_TIERS, HOUR_S, Unit
from scalix_callbacks.core.upgrade import UpgradePrompt

NOON_S = 1_896_091_200.0  # 2030-01-31T12:00:00Z
FREE = (
    Figure(Unit.REQUESTS, HOUR_S, 10, 3, NOON_S + 1_800),
    Figure(Unit.REQUESTS, DAY_S, 50, 15, NOON_S + 7_200),
    Figure(Unit.TOKENS, DAY_S, 10_000, 240, NOON_S + 60),
)
SELECTION = ModelSelection("scalix/auto", "gemini-2.5-flash", "gpt-4.1", "fastest", ("gpt-4", "gemini-pro"))


def test_the_object_is_that_of_the_contract() -> None:
    """Spec D2's own example, field by field and in its order."""
    told = scalix_object(
        tier="free", request_id="r-1", figures=FREE, cost_nano_usd=0, upgrade=None, selection=SELECTION
    )

    assert (
        b'{"tier":"free","request_id":"r-1","usage":{"requests_today":15,"requests_this_hour":3,'
        b'"tokens_used":240,"remaining_requests":7,"remaining_today":35,"remaining_this_hour":7,'
        b'"remaining_tokens":9760,"resets_at":"2030-01-31T12:30:00.000Z"},"cost_usd":"0.000000",'
        b'"upgrade_prompt":false,"model_selection":{"requested":"scalix/auto","recommended":"gemini-2.5-flash",'
        b'"used":"gpt-4.1","reason":"fastest","fallback_options":["gpt-4","gemini-pro"]}}'
    ) == orjson.dumps(told)


def test_the_upgrade_prompt_comes_with_its_message() -> None:
    """The app shows it as it is."""
    told = scalix_object(
        tier="free",
        request_id="r-1",
        figures=FREE,
        cost_nano_usd=240_500,
        upgrade=UpgradePrompt("[Upgrade to Pro](https://e.test)", "plain"),
        selection=SELECTION,
    )

    assert told["upgrade_prompt"] is True
    assert "[Upgrade to Pro](https://e.test)" == told["upgrade_message"]
    assert "0.0002405" == told["cost_usd"]


def test_what_is_not_known_is_null() -> None:
    """An operator's call has no tier, an unpriced one no cost, a lost store no counts."""
    told = scalix_object(
        tier=None,
        request_id="r-1",
        figures=(),
        cost_nano_usd=None,
        upgrade=None,
        selection=ModelSelection("gpt-4", None, None, "requested"),
    )

    assert told["tier"] is None
    assert told["cost_usd"] is None
    assert {None} == set(told["usage"].values())
    assert {
        "requested": "gpt-4",
        "recommended": None,
        "used": None,
        "reason": "requested",
        "fallback_options": [],
    } == told["model_selection"]


def test_what_is_not_limited_is_counted_and_its_rest_is_null() -> None:
    """Pro has no limit on requests a day; premium has none at all."""
    pro = (
        Figure(Unit.REQUESTS, HOUR_S, 100, 3, NOON_S + 1_800),
        Figure(Unit.TOKENS, DAY_S, 100_000, 240, NOON_S),
        Figure(Unit.REQUESTS, DAY_S, None, 15, NOON_S),
    )
    premium = tuple(Figure(f.unit, f.window_s, None, f.used, f.resets_at_s) for f in pro)

    assert {
        "requests_today": 15,
        "requests_this_hour": 3,
        "tokens_used": 240,
        "remaining_requests": 97,
        "remaining_today": None,
        "remaining_this_hour": 97,
        "remaining_tokens": 99_760,
        "resets_at": "2030-01-31T12:30:00.000Z",
    } == usage_object(pro)
    assert {
        "requests_today": 15,
        "requests_this_hour": 3,
        "tokens_used": 240,
        "remaining_requests": None,
        "remaining_today": None,
        "remaining_this_hour": None,
        "remaining_tokens": None,
        "resets_at": None,
    } == usage_object(premium)


def test_the_rest_and_the_reset_are_those_of_the_tightest_window() -> None:
    """The day, once it has less left in proportion."""
    usage = usage_object((FREE[0], Figure(Unit.REQUESTS, DAY_S, 50, 49, NOON_S + 7_200)))

    assert (1, 1, 7, "2030-01-31T14:00:00.000Z") == (
        usage["remaining_requests"],
        usage["remaining_today"],
        usage["remaining_this_hour"],
        usage["resets_at"],
    )


def test_a_token_limit_of_another_window_is_the_rest_of_tokens() -> None:
    """A tier may limit tokens per hour; used is always today's."""
    usage = usage_object(
        (Figure(Unit.TOKENS, HOUR_S, 100, 90, NOON_S), Figure(Unit.TOKENS, DAY_S, None, 240, NOON_S))
    )

    assert (240, 10) == (usage["tokens_used"], usage["remaining_tokens"])


def test_the_account_page() -> None:
    """Spec H2: only what is limited is among the limits."""
    figures = (FREE[0], Figure(Unit.TOKENS, DAY_S, None, 240, NOON_S))

    assert {
        "user_id": "anna",
        "tier": "pro",
        "limits": [
            {
                "unit": "requests",
                "window_s": 3_600,
                "limit": 10,
                "used": 3,
                "remaining": 7,
                "resets_at": "2030-01-31T12:30:00.000Z",
            }
        ],
        "usage": usage_object(figures),
        "features": ["advanced_reasoning", "full_analytics", "lazy_edits", "smart_context"],
        "upgrade_prompt": False,
    } == user_object(user_id="anna", tier=DEFAULT_TIERS["pro"], figures=figures, upgrade=None)


def test_the_operator_s_own_page_is_empty() -> None:
    """Nothing limits it."""
    page = user_object(user_id="operator", tier=None, figures=(), upgrade=None)

    assert (None, [], []) == (page["tier"], page["limits"], page["features"])


def test_a_budget_is_told_in_decimal_strings() -> None:
    """Money is never a float."""
    told = limit_object(Figure(Unit.USD, DAY_S, 5_000_000_000, 1_250_000_001, NOON_S))

    assert ("usd", "5.000000", "1.250000001", "3.749999999") == (
        told["unit"],
        told["limit"],
        told["used"],
        told["remaining"],
    )
