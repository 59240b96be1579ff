"""Which calls a budget is for."""

import pytest

from scalix_callbacks.core.budget import usd_counters, with_usd
from scalix_callbacks.core.limits import Counter
from scalix_callbacks.core.pricing import FREE, Rates
from scalix_callbacks.core.tiers import DAY_S, HOUR_S, Limit, Tier, Unit

REQUESTS = Counter(Unit.REQUESTS, HOUR_S, 10)
BUDGET = Counter(Unit.USD, DAY_S, 5)
SPENT = Counter(Unit.USD, 30 * DAY_S, None)
DEAR = Rates(1, 1, 1)


@pytest.mark.parametrize(
    ("counters", "rates", "expected"),
    [
        ((REQUESTS,), DEAR, (REQUESTS, SPENT)),
        ((REQUESTS, BUDGET), DEAR, (REQUESTS, BUDGET)),
        ((REQUESTS, BUDGET), FREE, (REQUESTS,)),
        ((REQUESTS,), FREE, (REQUESTS,)),
        ((REQUESTS,), None, (REQUESTS,)),
        ((REQUESTS, SPENT), None, (REQUESTS, SPENT)),
        ((REQUESTS, BUDGET), None, None),
    ],
)
def test_a_call_takes_part_by_its_price(
    counters: tuple[Counter, ...], rates: Rates | None, expected: tuple[Counter, ...] | None
) -> None:
    """What costs something does, what is free does not, and what nobody knows is not made."""
    assert expected == with_usd(counters, rates)


def test_what_is_told_of_usd_are_its_limits() -> None:
    """Or, where there are none, what is spent in 30 days."""
    limits = (Limit(10, Unit.REQUESTS, HOUR_S), Limit(5, Unit.USD, DAY_S))

    assert (BUDGET,) == usd_counters(Tier("t", ("*",), limits))
    assert (SPENT,) == usd_counters(Tier("t", ("*",), limits[:1])) == usd_counters(None)
