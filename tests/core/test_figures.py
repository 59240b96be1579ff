"""What is shown of a limit: what is settled and this call, not what other calls hold."""

import pytest

from scalix_callbacks.core.figures import Figure, figures_of, tightest, window_name, window_words
from scalix_callbacks.core.limits import Counter, Standing
from scalix_callbacks.core.tiers import DAY_S, HOUR_S, Unit

NOW_S = 1_000_000.0


def standing(unit: Unit, amount: int | None, used: int, held: int = 0, *, ago_s: float = 60) -> Standing:
    return Standing(Counter(unit, HOUR_S, amount), NOW_S - ago_s, used, held)


@pytest.mark.parametrize(
    ("given", "used", "remaining"),
    [
        (standing(Unit.REQUESTS, 10, 2, 1), 3, 7),
        (standing(Unit.REQUESTS, 10, 10, 3), 13, 0),
        (standing(Unit.TOKENS, 10_000, 1_000, 9_000), 1_500, 8_500),
        (standing(Unit.TOKENS, 10_000, 10_200, 0), 10_700, 0),
        (standing(Unit.USD, 5_000, 1_000, 4_000), 1_007, 3_993),
        (standing(Unit.REQUESTS, None, 2, 1), 3, None),
        (standing(Unit.TOKENS, 0, 0, 0), 500, 0),
    ],
)
def test_holds_of_other_calls_are_not_shown(given: Standing, used: int, remaining: int | None) -> None:
    """Of tokens and money they mostly come back; open requests count."""
    (figure,) = figures_of([given], NOW_S, own_tokens=500, own_nano_usd=7)

    assert used == figure.used
    assert remaining == figure.remaining
    assert NOW_S - 60 + HOUR_S == figure.resets_at_s


def test_a_settled_call_is_not_counted_twice() -> None:
    """What it used is in the standings by then."""
    figures = figures_of([standing(Unit.TOKENS, 100, 40, 60), standing(Unit.USD, 100, 30, 70)], NOW_S)

    assert [40, 30] == [figure.used for figure in figures]


@pytest.mark.parametrize("ago_s", [HOUR_S, HOUR_S + 5_000])
def test_a_window_that_is_over_shows_nothing_used(ago_s: float) -> None:
    """The next call begins a new one."""
    figures = figures_of(
        [
            standing(Unit.REQUESTS, 10, 9, 1, ago_s=ago_s),
            standing(Unit.TOKENS, 10_000, 9_000, 1_000, ago_s=ago_s),
        ],
        NOW_S,
        own_tokens=5,
    )

    assert (
        Figure(Unit.REQUESTS, HOUR_S, 10, 0, NOW_S + HOUR_S),
        Figure(Unit.TOKENS, HOUR_S, 10_000, 5, NOW_S + HOUR_S),
    ) == figures


def test_the_tightest_window_has_the_least_left_in_proportion() -> None:
    """Not the smallest number: 20 of 50 is tighter than 7 of 10."""
    hour, day = Figure(Unit.REQUESTS, HOUR_S, 10, 3, 100), Figure(Unit.REQUESTS, DAY_S, 50, 30, 200)
    tokens = Figure(Unit.TOKENS, DAY_S, 10, 10, 200)

    assert day == tightest([hour, day, tokens], Unit.REQUESTS)


def test_of_equally_tight_windows_it_is_the_smaller_then_the_longer() -> None:
    """7 of 10 before 35 of 50; of the same amount the one that resets last."""
    hour, day = Figure(Unit.REQUESTS, HOUR_S, 10, 3, 100), Figure(Unit.REQUESTS, DAY_S, 50, 15, 200)
    other_day = Figure(Unit.REQUESTS, DAY_S, 10, 3, 200)

    assert hour == tightest([day, hour], Unit.REQUESTS)
    assert other_day == tightest([hour, other_day], Unit.REQUESTS)


def test_what_is_not_limited_has_no_tightest_window() -> None:
    """A count alone limits nothing."""
    assert tightest([Figure(Unit.REQUESTS, DAY_S, None, 99, 1)], Unit.REQUESTS) is None
    assert tightest([], Unit.TOKENS) is None


@pytest.mark.parametrize(
    ("limit", "used", "expected"), [(10, 3, 0.7), (10, 12, 0.0), (0, 0, 0.0), (None, 5, 1.0)]
)
def test_the_share_left_is_between_nothing_and_all(limit: int | None, used: int, expected: float) -> None:
    """Also for a limit that was passed, or that closes."""
    assert expected == Figure(Unit.TOKENS, DAY_S, limit, used, 0).left


@pytest.mark.parametrize(
    ("resets_at_s", "expected"),
    [(1_700_003_600.123, 3_600_000), (1_700_000_000.143, 20), (1_600_000_000.0, 0)],
)
def test_the_time_to_the_reset_is_exact_to_the_millisecond(resets_at_s: float, expected: int) -> None:
    """Floats of this size are not; and what is over takes no time."""
    assert expected == Figure(Unit.TOKENS, DAY_S, 1, 0, resets_at_s).reset_ms(1_700_000_000.123)


@pytest.mark.parametrize(
    ("window_s", "name", "words"),
    [
        (HOUR_S, "1h", "hour"),
        (DAY_S, "1d", "day"),
        (30 * DAY_S, "30d", "30 days"),
        (900, "15m", "15 minutes"),
        (60, "1m", "minute"),
        (90, "90s", "90 seconds"),
        (36 * HOUR_S, "36h", "36 hours"),
    ],
)
def test_a_window_has_a_short_name_and_words(window_s: int, name: str, words: str) -> None:
    """For header names, and for people."""
    assert (name, words) == (window_name(window_s), window_words(window_s))
