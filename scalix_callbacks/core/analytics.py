"""What an account's figures say, as numbers and as the app shows them (spec G7, H2)."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

from scalix_callbacks.core.money import NANO, usd_text
from scalix_callbacks.core.usage_sums import Sums


def basic_analytics(total: Sums) -> dict[str, Any]:
    """What every plan shows."""
    price = total.known_price_nano_usd
    return {
        "requests": total.requests,
        "calls": total.calls,
        "tokens": total.total_tokens,
        "errors": total.error,
        "cost_usd": None if price is None else usd_text(price),
        "cost_unknown_calls": total.price_unknown_calls,
    }


def full_analytics(
    total: Sums, by_model: Iterable[tuple[str, str, Sums]], errors: Mapping[str, int]
) -> dict[str, Any]:
    """`basic_analytics`, and what the plan's `full_analytics` adds; None is what is not known.

    Args:
        by_model: the model asked for, the one that answered, and the sums of these calls.
        errors: category → calls.
    """
    saved = cost_savings_nano_usd(by_model)
    efficiency = Fraction(total.own_model, total.ok) if total.ok else None
    average_ms = total.response_time_avg_ms
    return {
        **basic_analytics(total),
        "cost_savings": None if saved is None else f"${Decimal(saved) / NANO:,.2f}",
        "cost_savings_usd": None if saved is None else usd_text(saved),
        "model_efficiency": None if efficiency is None else f"{round(efficiency * 100)}%",
        "model_efficiency_ratio": None if efficiency is None else round(float(efficiency), 4),
        "response_time_avg": None if average_ms is None else f"{average_ms / 1_000:.1f}s",
        "response_time_avg_ms": average_ms,
        "fallback_usage": total.fallbacks,
        "errors_by_category": dict(errors),
    }


def cost_savings_nano_usd(by_model: Iterable[tuple[str, str, Sums]]) -> int | None:
    """What the same tokens would have cost more, had the dearest model that was asked for answered them all.

    What a model costs is what its own answers did, per token of prompt and completion. Calls whose price is
    not known count on neither side; None: that is all there are.
    """
    rows = list(by_model)
    if rows and all(sums.price_unknown_calls == sums.calls for _, _, sums in rows):
        return None
    own: dict[str, Sums] = {}
    for requested, used, sums in rows:
        if requested == used:
            own[requested] = own.get(requested, Sums()) + sums
    rates = [Fraction(sums.price_nano_usd, sums.priced_tokens) for sums in own.values() if sums.priced_tokens]
    everything = sum((sums for _, _, sums in rows), Sums())
    dearest = max(rates, default=Fraction(0))
    return max(int(everything.priced_tokens * dearest) - everything.price_nano_usd, 0)
