"""Headers that OpenAI's clients and the IETF draft's readers understand."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalix_callbacks.core.figures import Figure
from scalix_callbacks.core.rate_headers import openai_duration, rate_headers
from scalix_callbacks.core.tiers import DAY_S, HOUR_S, Unit

NOW_S = 1_000_000.0


def test_a_free_user_s_headers() -> None:
    """Three limits: the tightest of each unit without a suffix, each window with one, and the IETF's two."""
    headers = rate_headers(
        (
            Figure(Unit.REQUESTS, HOUR_S, 10, 3, NOW_S + 1_200),
            Figure(Unit.REQUESTS, DAY_S, 50, 40, NOW_S + 3_723.5),
            Figure(Unit.TOKENS, DAY_S, 10_000, 240, NOW_S + 0.02),
        ),
        NOW_S,
    )

    assert {
        "x-ratelimit-limit-requests": "50",
        "x-ratelimit-remaining-requests": "10",
        "x-ratelimit-reset-requests": "1h2m4s",
        "x-ratelimit-limit-tokens": "10000",
        "x-ratelimit-remaining-tokens": "9760",
        "x-ratelimit-reset-tokens": "20ms",
        "x-ratelimit-limit-requests-1h": "10",
        "x-ratelimit-remaining-requests-1h": "7",
        "x-ratelimit-reset-requests-1h": "20m0s",
        "x-ratelimit-limit-requests-1d": "50",
        "x-ratelimit-remaining-requests-1d": "10",
        "x-ratelimit-reset-requests-1d": "1h2m4s",
        "x-ratelimit-limit-tokens-1d": "10000",
        "x-ratelimit-remaining-tokens-1d": "9760",
        "x-ratelimit-reset-tokens-1d": "20ms",
        "ratelimit-policy": (
            '"requests-1h";q=10;w=3600, "requests-1d";q=50;w=86400, "tokens-1d";q=10000;qu="tokens";w=86400'
        ),
        "ratelimit": '"requests-1h";r=7;t=1200, "requests-1d";r=10;t=3724, "tokens-1d";r=9760;t=1',
    } == headers


def test_what_is_not_limited_has_no_headers() -> None:
    """A premium user sees none, though calls are counted; a budget is told elsewhere."""
    figures = (
        Figure(Unit.REQUESTS, HOUR_S, None, 3, NOW_S + 60),
        Figure(Unit.TOKENS, DAY_S, None, 3, NOW_S + 60),
        Figure(Unit.USD, DAY_S, 5_000_000_000, 3, NOW_S + 60),
    )

    assert {} == rate_headers(figures, NOW_S)
    assert {} == rate_headers((), NOW_S)


def test_counts_without_a_limit_are_left_out_beside_limits() -> None:
    """Pro has no limit on requests a day."""
    headers = rate_headers(
        (
            Figure(Unit.REQUESTS, HOUR_S, 100, 3, NOW_S + 60),
            Figure(Unit.REQUESTS, DAY_S, None, 3, NOW_S + 60),
        ),
        NOW_S,
    )

    assert "x-ratelimit-limit-requests-1d" not in headers
    assert '"requests-1h";q=100;w=3600' == headers["ratelimit-policy"]


def test_a_limit_that_is_passed_or_closed_has_nothing_left() -> None:
    """Never a negative number."""
    headers = rate_headers(
        (
            Figure(Unit.REQUESTS, HOUR_S, 0, 0, NOW_S + 60),
            Figure(Unit.TOKENS, DAY_S, 100, 130, NOW_S - 5),
        ),
        NOW_S,
    )

    assert "0" == headers["x-ratelimit-remaining-requests"]
    assert "0" == headers["x-ratelimit-remaining-tokens"]
    assert "0s" == headers["x-ratelimit-reset-tokens"]
    assert '"requests-1h";r=0;t=60, "tokens-1d";r=0;t=0' == headers["ratelimit"]


def test_a_number_too_large_for_a_structured_field_is_the_largest() -> None:
    """Clients drop the whole field otherwise."""
    headers = rate_headers((Figure(Unit.TOKENS, DAY_S, 2**53 - 1, 0, NOW_S),), NOW_S)

    assert '"tokens-1d";q=999999999999999;qu="tokens";w=86400' == headers["ratelimit-policy"]
    assert '"tokens-1d";r=999999999999999;t=0' == headers["ratelimit"]
    assert "9007199254740991" == headers["x-ratelimit-limit-tokens"]


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [
        (0, "0s"),
        (1, "1ms"),
        (20, "20ms"),
        (999, "999ms"),
        (1_000, "1s"),
        (1_001, "2s"),
        (59_000, "59s"),
        (59_001, "1m0s"),
        (360_000, "6m0s"),
        (3_600_000, "1h0m0s"),
        (3_723_000, "1h2m3s"),
        (86_400_000, "24h0m0s"),
    ],
)
def test_a_duration_is_in_openai_s_form(milliseconds: int, expected: str) -> None:
    """Never rounded down: whoever comes back at that time is not refused for coming too early."""
    assert expected == openai_duration(milliseconds)


figures = st.lists(
    st.builds(
        Figure,
        st.sampled_from(Unit),
        st.sampled_from([60, HOUR_S, DAY_S]),
        st.none() | st.integers(0, 2**53),
        st.integers(0, 2**53),
        st.floats(0, 4e9),
    ),
    max_size=5,
).map(tuple)
ITEM = r'"[a-z0-9-]+"(;[a-z]+=(\d{1,15}|"[a-z]+"))+'


@given(figures, st.floats(0, 4e9))
def test_headers_are_well_formed_for_any_standing(given: tuple[Figure, ...], now_s: float) -> None:
    """A client's parser never meets a surprise."""
    for name, value in rate_headers(given, now_s).items():
        if name.startswith("ratelimit"):
            assert re.fullmatch(f"{ITEM}(, {ITEM})*", value)
        elif "-reset-" in name:
            assert re.fullmatch(r"(\d+h\d+m\d+s|\d+m\d+s|\d+s|\d+ms)", value)
        else:
            assert value.isdigit()
