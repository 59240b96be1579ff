"""Budgets: limits on USD, and what is counted of USD where nothing limits them."""

from collections.abc import Iterable

from scalix_callbacks.core.limits import Admitted, Ask, Counter, Standing, counters_of
from scalix_callbacks.core.pricing import Rates
from scalix_callbacks.core.tiers import DAY_S, Tier, Unit

BUDGET_WINDOW_S = 30 * DAY_S
"""Of an account's budget that names no window, and of what is told as spent without a budget."""

WARNING_SHARE = 0.8
"""From so much of a budget on its user and the operator are told."""

_SPENT = Counter(Unit.USD, BUDGET_WINDOW_S, None)


def with_usd(counters: tuple[Counter, ...], rates: Rates | None) -> tuple[Counter, ...] | None:
    """The counters of a call that has these rates; None: it must not be made.

    A call that costs nothing takes no part in a budget, so that free models answer when it is used up. What
    another costs is counted also where nothing limits it; one of which nobody knows it may be answered by a
    model that has a price. It is not made where a budget is: it would be a way around it.
    """
    usd = [counter for counter in counters if counter.unit is Unit.USD]
    is_limited = any(counter.amount is not None for counter in usd)
    if rates is None and is_limited:
        return None
    if rates is not None and rates.is_free:
        return tuple(counter for counter in counters if counter.unit is not Unit.USD) if usd else counters
    return counters if is_limited or any(each.id == _SPENT.id for each in usd) else (*counters, _SPENT)


def would_refuse(admitted: Admitted, ask: Ask, rates: Rates | None) -> tuple[Counter, ...]:
    """Whose limits in shadow would have refused the call.

    Those the store tells, and budgets where nobody knows what the call costs.
    """
    if rates is not None or not any(counter.shadow is not None for counter in ask.counters):
        return admitted.shadowed
    return tuple(
        counter
        for counter in ask.counters
        if counter in admitted.shadowed or (counter.unit is Unit.USD and counter.shadow is not None)
    )


def usd_counters(tier: Tier | None) -> tuple[Counter, ...]:
    """What is counted of USD for an account of this tier: its budgets, else what it spends."""
    usd = (counter for counter in counters_of(tier) if counter.unit is Unit.USD)
    return tuple(counter for counter in usd if counter.amount is not None) or (_SPENT,)


def passed_warning(standings: Iterable[Standing], nano_usd: int) -> tuple[Standing, ...]:
    """The budgets that the `nano_usd` just settled took past `WARNING_SHARE`; of calls at once one did."""
    return tuple(
        standing
        for standing in standings
        if standing.counter.unit is Unit.USD
        and standing.counter.amount
        and standing.used - nano_usd < standing.counter.amount * WARNING_SHARE <= standing.used
    )
