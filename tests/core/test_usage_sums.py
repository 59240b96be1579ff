"""Sums of calls as they are told."""

from scalix_callbacks.core.usage_sums import Sums, row_object, sums_object


def test_sums_add_up() -> None:
    """Field by field."""
    both = Sums(calls=1, price_nano_usd=5) + Sums(calls=2, price_nano_usd=7, ok=1)

    assert Sums(calls=3, price_nano_usd=12, ok=1) == both


def test_sums_are_told_with_exact_money() -> None:
    """What the provider took is told to the operator alone."""
    sums = Sums(
        calls=4,
        requests=3,
        ok=3,
        error=1,
        prompt_tokens=10,
        completion_tokens=20,
        price_nano_usd=1_000_000_001,
        price_unknown_calls=1,
        provider_cost_nano_usd=5,
        provider_cost_unknown_calls=2,
        fallbacks=1,
        ok_duration_ms=1_001,
        ok_timed=2,
    )
    told = {
        "calls": 4,
        "requests": 3,
        "outcomes": {"ok": 3, "error": 1, "aborted": 0, "abandoned": 0, "cached": 0, "replayed": 0},
        "prompt_tokens": 10,
        "completion_tokens": 20,
        "cached_tokens": 0,
        "reasoning_tokens": 0,
        "total_tokens": 30,
        "price_usd": "1.000000001",
        "price_unknown_calls": 1,
        "response_time_avg_ms": 500,
        "fallbacks": 1,
    }

    assert told == sums_object(sums, with_provider=False)
    assert {
        **told,
        "provider_cost_usd": "0.000000005",
        "provider_cost_unknown_calls": 2,
    } == sums_object(sums, with_provider=True)


def test_what_nobody_knows_is_null() -> None:
    """But nothing at all costs nothing."""
    unknown = sums_object(Sums(calls=2, price_unknown_calls=2), with_provider=False)
    nothing = sums_object(Sums(), with_provider=False)

    assert (None, None) == (unknown["price_usd"], unknown["response_time_avg_ms"])
    assert ("0.000000", None) == (nothing["price_usd"], nothing["response_time_avg_ms"])


def test_a_row_says_what_it_is_of() -> None:
    """First, and null where it is of none."""
    told = row_object({"day": "2030-01-31", "category": None}, Sums(calls=1), with_provider=False)

    assert [("day", "2030-01-31"), ("category", None), ("calls", 1)] == list(told.items())[:3]
