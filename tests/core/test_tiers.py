"""Tiers permit models by pattern, and the defaults are those of the contract."""

from dataclasses import replace

import pytest

from scalix_callbacks.core.limits import Counter, counters_of
from scalix_callbacks.core.tiers import (
    DAY_S,
    DEFAULT_TIERS,
    HOUR_S,
    Feature,
    Limit,
    LimitOverride,
    Tier,
    Unit,
    matches_any,
)


@pytest.mark.parametrize(
    ("name", "patterns", "expected"),
    [
        ("free-a", ("free-*",), True),
        ("free-", ("free-*",), True),
        ("FREE-a", ("free-*",), False),
        ("not-free-a", ("free-*",), False),
        ("anthropic/a/b", ("anthropic/*",), True),
        ("anthropic", ("anthropic/*",), False),
        ("gpt-4", ("gpt-4",), True),
        ("gpt-4.1", ("gpt-4",), False),
        ("gpt-4", ("gpt-?",), False),
        ("a", ("[abc]",), False),
        ("[abc]", ("[abc]",), True),
        ("a\nb", ("a*",), True),
        ("a", (), False),
    ],
)
def test_a_pattern_knows_only_the_star(name: str, patterns: tuple[str, ...], expected: bool) -> None:
    """`*` is anything, everything else is itself, and case counts."""
    assert expected is matches_any(name, patterns)


def test_the_default_limits_are_those_of_the_contract() -> None:
    """Spec C1."""
    assert {
        "free": (
            Limit(10, Unit.REQUESTS, HOUR_S),
            Limit(50, Unit.REQUESTS, DAY_S),
            Limit(10_000, Unit.TOKENS, DAY_S),
        ),
        "pro": (Limit(100, Unit.REQUESTS, HOUR_S), Limit(100_000, Unit.TOKENS, DAY_S)),
        "premium": (),
    } == {name: tier.limits for name, tier in DEFAULT_TIERS.items()}


@pytest.mark.parametrize(
    ("model", "tiers"),
    [
        ("free-gemini-flash", ["free", "pro", "premium"]),
        ("scalix-engine", ["pro", "premium"]),
        ("scalix/auto", ["pro", "premium"]),
        ("gpt-4.1", ["pro", "premium"]),
        ("gpt-5", ["pro", "premium"]),
        ("openrouter/a/b", ["pro", "premium"]),
        ("gpt-4", ["premium"]),
        ("claude-3-opus", ["premium"]),
        ("gemini-pro", ["premium"]),
    ],
)
def test_the_default_models_are_those_of_the_contract(model: str, tiers: list[str]) -> None:
    """Spec C1, the column of models."""
    assert tiers == [tier.name for tier in DEFAULT_TIERS.values() if tier.permits(model)]


def test_an_upgrade_leads_to_the_lowest_tier_that_helps() -> None:
    """Nobody is sent to premium for what pro has."""
    assert "pro" == getattr(DEFAULT_TIERS.next_permitting("gpt-5"), "name", None)
    assert "premium" == getattr(DEFAULT_TIERS.lowest_covering(("gpt-5", "gpt-4")), "name", None)


@pytest.mark.parametrize(("named", "tier"), [("pro", "pro"), ("free", "free"), ("gold", "free")])
def test_who_has_a_tier_that_left_the_configuration_has_the_lowest(named: str, tier: str) -> None:
    """Never more than the least."""
    assert tier == DEFAULT_TIERS.or_lowest(named).name


def test_a_higher_tier_has_all_that_a_lower_one_has() -> None:
    """Features and models only grow."""
    free, pro, premium = DEFAULT_TIERS.values()

    assert free.features < pro.features < premium.features == frozenset(Feature)
    assert set(free.models) < set(pro.models)
    assert ("free", "pro", "premium") == DEFAULT_TIERS.names


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ((), {"requests/h": 10, "requests/d": 50, "tokens/d": 10_000}),
        ([(Unit.REQUESTS, HOUR_S, 0)], {"requests/h": 0, "requests/d": 50, "tokens/d": 10_000}),
        ([(Unit.TOKENS, DAY_S, None)], {"requests/h": 10, "requests/d": 50}),
        (
            [(Unit.TOKENS, HOUR_S, 7)],
            {"requests/h": 10, "requests/d": 50, "tokens/d": 10_000, "tokens/h": 7},
        ),
        ([(Unit.TOKENS, HOUR_S, None)], {"requests/h": 10, "requests/d": 50, "tokens/d": 10_000}),
    ],
)
def test_an_override_replaces_adds_or_lifts_one_limit(
    overrides: list[tuple[Unit, int, int | None]], expected: dict[str, int]
) -> None:
    """All others are the tier's."""
    tier = DEFAULT_TIERS["free"].overridden(tuple(LimitOverride(*override) for override in overrides))

    assert expected == {
        f"{limit.unit}/{'h' if limit.window_s == HOUR_S else 'd'}": limit.amount for limit in tier.limits
    }
    assert DEFAULT_TIERS["free"].models == tier.models


def test_a_limit_in_shadow_lifts_none_that_holds() -> None:
    """An account's shadow stands beside its tier's limit, and for its tier's shadow."""
    own = (LimitOverride(Unit.REQUESTS, HOUR_S, 5, is_shadow=True),)
    tier = DEFAULT_TIERS["free"].overridden(own)
    shadow = Limit(5, Unit.REQUESTS, HOUR_S, is_shadow=True)

    assert (*DEFAULT_TIERS["free"].limits, shadow) == tier.limits
    assert (
        tier.limits
        == replace(tier, limits=(*tier.limits[:-1], replace(shadow, amount=9))).overridden(own).limits
    )
    assert tier.overridden((replace(own[0], amount=None),)).limits == DEFAULT_TIERS["free"].limits


def test_what_is_counted_knows_both_amounts() -> None:
    """The one that holds, and the one in shadow; each unit and window once."""
    limits = (
        Limit(10, Unit.REQUESTS, HOUR_S),
        Limit(5, Unit.REQUESTS, HOUR_S, True),
        Limit(7, Unit.USD, DAY_S, True),
    )

    assert (
        Counter(Unit.REQUESTS, HOUR_S, 10, 5),
        Counter(Unit.REQUESTS, DAY_S, None),
        Counter(Unit.TOKENS, DAY_S, None),
        Counter(Unit.USD, DAY_S, None, 7),
    ) == counters_of(Tier("t", ("*",), limits))
