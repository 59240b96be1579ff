"""The figures of an account as the app shows them."""

import pytest

from scalix_callbacks.core.analytics import basic_analytics, cost_savings_nano_usd, full_analytics
from scalix_callbacks.core.usage_sums import Sums

USD = 10**9


def priced(calls: int, tokens: int, nano_usd: int) -> Sums:
    return Sums(calls=calls, ok=calls, prompt_tokens=tokens, priced_tokens=tokens, price_nano_usd=nano_usd)


def test_every_plan_shows_the_basic_part() -> None:
    """Counts and cost."""
    total = Sums(calls=3, requests=2, error=1, prompt_tokens=5, completion_tokens=7, price_unknown_calls=3)

    assert {
        "requests": 2,
        "calls": 3,
        "tokens": 12,
        "errors": 1,
        "cost_usd": None,
        "cost_unknown_calls": 3,
    } == basic_analytics(total)


def test_the_full_part_has_display_strings_with_their_numbers() -> None:
    """As the app shows them: $12.50, 85%, 1.2s, 3."""
    total = Sums(calls=21, ok=20, error=1, own_model=17, fallbacks=3, ok_duration_ms=24_000, ok_timed=20)
    dear, cheap = priced(1, 1_000, 13 * USD), priced(19, 1_000, USD // 2)
    told = full_analytics(total, [("gpt-4", "gpt-4", dear), ("flash", "flash", cheap)], {"PROVIDER_ERROR": 1})

    assert {
        "cost_savings": "$12.50",
        "cost_savings_usd": "12.500000",
        "model_efficiency": "85%",
        "model_efficiency_ratio": 0.85,
        "response_time_avg": "1.2s",
        "response_time_avg_ms": 1_200,
        "fallback_usage": 3,
        "errors_by_category": {"PROVIDER_ERROR": 1},
    } == {name: value for name, value in told.items() if name not in basic_analytics(total)}


def test_who_never_called_saved_nothing() -> None:
    """And has neither an efficiency nor a response time."""
    told = full_analytics(Sums(), [], {})

    assert ("$0.00", None, None, 0) == tuple(
        told[name] for name in ("cost_savings", "model_efficiency", "response_time_avg", "fallback_usage")
    )


@pytest.mark.parametrize(
    ("by_model", "expected"),
    [
        ([("a", "a", priced(1, 100, 500))], 0),
        # 100 tokens of b would have cost 500 with a, and cost 20.
        ([("a", "a", priced(1, 100, 500)), ("b", "b", priced(1, 100, 20))], 480),
        # What fell back to b was asked of a, and cost b's price.
        ([("a", "a", priced(1, 100, 500)), ("a", "b", priced(1, 50, 10))], 240),
        # A model that never answered has no price of its own here.
        ([("a", "b", priced(1, 50, 10))], 0),
        # A call without a known price counts on neither side.
        ([("a", "a", priced(1, 100, 500)), ("b", "b", Sums(calls=9, price_unknown_calls=9))], 0),
        ([("a", "a", Sums(calls=9, price_unknown_calls=9))], None),
        ([("free", "free", priced(1, 100, 0))], 0),
    ],
)
def test_savings_are_against_the_dearest_model_asked_for(
    by_model: list[tuple[str, str, Sums]], expected: int | None
) -> None:
    """By what its own answers cost per token."""
    assert expected == cost_savings_nano_usd(by_model)
