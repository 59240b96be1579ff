"""Budgets: limits on USD, and what is counted of USD where nothing limits them."""

from scalix_callbacks.core.limits import Counter, counters_of
from scalix_callbacks.core.pricing import Rates
from scalix_callbacks.core.tiers import DAY_S, Tier, Unit

BUDGET_WINDOW_S = 30 * DAY_S
"""Of an account's budget that names no window, and of what is told as spent without a budget."""


_SPENT = Counter(Unit.USD, BUDGET_WINDOW_S, None)


def with_usd(counters: tuple[Counter, ...], rates: Rates | None) -> tuple[Counter, ...] | None:
    """The counters of a call that has these rates; None: it must not be made.

    A call that costs nothing takes no part in a budget, so that free models answer when it is used up. One
    that costs something is counted also where nothing limits it. One of which nobody knows what it costs is
    not made where a budget is: it would be a way around it.
    """
    usd = [counter for counter in counters if counter.unit is Unit.USD]
    if rates is None:
        return None if any(counter.amount is not None for counter in usd) else counters
    if rates.is_free:
        return tuple(counter for counter in counters if counter.unit is not Unit.USD) if usd else counters
    return counters if usd else (*counters, _SPENT)


def usd_counters(tier: Tier | None) -> tuple[Counter, ...]:
    """What is counted of USD for an account of this tier: its budgets, else what it spends."""
    return tuple(counter for counter in counters_of(tier) if counter.unit is Unit.USD) or (_SPENT,)
