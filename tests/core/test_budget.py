"""Which calls a budget is for."""

from dataclasses import replace

import pytest

from scalix_callbacks.core.budget import passed_warning, usd_counters, with_usd, would_refuse
from scalix_callbacks.core.limits import Admitted, Ask, Counter, Standing
from scalix_callbacks.core.pricing import FREE, Rates
from scalix_callbacks.core.tiers import DAY_S, HOUR_S, Limit, Tier, Unit

REQUESTS = Counter(Unit.REQUESTS, HOUR_S, 10)
BUDGET = Counter(Unit.USD, DAY_S, 5)
SPENT = Counter(Unit.USD, 30 * DAY_S, None)
SHADOW = Counter(Unit.USD, DAY_S, None, shadow=5)
DEAR = Rates(1, 1, 1)


@pytest.mark.parametrize(
    ("counters", "rates", "expected"),
    [
        ((REQUESTS,), DEAR, (REQUESTS, SPENT)),
        ((REQUESTS, BUDGET), DEAR, (REQUESTS, BUDGET)),
        ((REQUESTS, BUDGET), FREE, (REQUESTS,)),
        ((REQUESTS,), FREE, (REQUESTS,)),
        ((REQUESTS,), None, (REQUESTS, SPENT)),
        ((REQUESTS, SPENT), None, (REQUESTS, SPENT)),
        ((REQUESTS, BUDGET), None, None),
        ((REQUESTS, SHADOW), None, (REQUESTS, SHADOW, SPENT)),
        ((REQUESTS, SHADOW), DEAR, (REQUESTS, SHADOW, SPENT)),
        ((REQUESTS, SHADOW), FREE, (REQUESTS,)),
        ((replace(SPENT, shadow=5),), DEAR, (replace(SPENT, shadow=5),)),
    ],
)
def test_a_call_takes_part_by_its_price(
    counters: tuple[Counter, ...], rates: Rates | None, expected: tuple[Counter, ...] | None
) -> None:
    """What costs something does, what is free does not; of what nobody knows none is made under a budget."""
    assert expected == with_usd(counters, rates)


def test_what_is_told_of_usd_are_its_limits() -> None:
    """Or, where there are none, what is spent in 30 days."""
    limits = (Limit(10, Unit.REQUESTS, HOUR_S), Limit(5, Unit.USD, DAY_S))

    assert (BUDGET,) == usd_counters(Tier("t", ("*",), limits))
    assert (SPENT,) == usd_counters(Tier("t", ("*",), limits[:1])) == usd_counters(None)
    in_shadow = (replace(limits[1], is_shadow=True),)
    assert (SPENT,) == usd_counters(Tier("t", ("*",), in_shadow))  # what is shown to users does not know it


@pytest.mark.parametrize(("rates", "expected"), [(DEAR, (REQUESTS,)), (None, (REQUESTS, SHADOW))])
def test_a_budget_in_shadow_would_have_refused_what_has_no_price(
    rates: Rates | None, expected: tuple[Counter, ...]
) -> None:
    """A budget that holds does; what the store tells stays."""
    ask = Ask("c", "ada", (REQUESTS, SHADOW), 1, 1, None, {})

    assert expected == would_refuse(Admitted(1, (), 0.0, (REQUESTS,)), ask, rates)


@pytest.mark.parametrize(
    ("used", "just_now", "expected"),
    [(79, 20, False), (80, 1, True), (95, 16, True), (95, 15, False), (120, 100, True)],
)
def test_one_call_takes_a_budget_past_the_warning(used: int, just_now: int, expected: bool) -> None:
    """The one before did not, and the one after does not again."""
    standing = Standing(Counter(Unit.USD, DAY_S, 100), 0.0, used, 0)

    assert expected is bool(passed_warning([standing], just_now))


def test_only_budgets_warn() -> None:
    """What is spent without a budget has no share of one, nor have requests."""
    standings = [Standing(SPENT, 0.0, 100, 0), Standing(REQUESTS, 0.0, 10, 0)]

    assert not passed_warning(standings, 100)
