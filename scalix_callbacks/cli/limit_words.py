"""The limits of a tier as a person at a terminal reads them."""

from scalix_callbacks.core.money import NANO
from scalix_callbacks.core.tiers import DAY_S, HOUR_S, Limit, Tier, Unit

_WINDOWS = {HOUR_S: "hour", DAY_S: "day"}


def limits_text(tier: Tier) -> str:
    """`10 requests/hour, 5.00 USD/day (shadow)`"""
    return ", ".join(map(_limit, tier.limits)) or "no limits"


def _limit(limit: Limit) -> str:
    window = _WINDOWS.get(limit.window_s, f"{limit.window_s:,} s")
    shadow = " (shadow)" if limit.is_shadow else ""
    if limit.unit is Unit.USD:
        return f"{limit.amount / NANO:,.2f} USD/{window}{shadow}"
    return f"{limit.amount:,} {limit.unit}/{window}{shadow}"
