"""Durations as operators write them."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalix_callbacks.core.durations import parse_duration

UNIT_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800, "mo": 2_592_000}
TEN_YEARS_S = 315_360_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30s", timedelta(seconds=30)),
        ("15m", timedelta(minutes=15)),
        ("12h", timedelta(hours=12)),
        ("30d", timedelta(days=30)),
        ("2w", timedelta(days=14)),
        ("1mo", timedelta(days=30)),
        ("3650d", timedelta(days=3650)),
    ],
)
def test_each_unit(text: str, expected: timedelta) -> None:
    """Every unit means what the documentation says."""
    assert expected == parse_duration(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "30",
        "d",
        "1.5h",
        "-1d",
        "+1d",
        " 1d",
        "1d ",
        "1d\n",
        "1 d",
        "1D",
        "1y",
        "1h30m",
        "٣d",
        "1" * 5_000 + "d",
    ],
)
def test_anything_else_is_refused_with_what_is_accepted(text: str) -> None:
    """The sentence lists the units, and does not repeat what was typed."""
    with pytest.raises(ValueError, match=r"^A duration is a whole number and a unit: 30s, .*1mo"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["0s", "0d", "315360001s", "3651d", "522w", "122mo", "999999999mo"])
def test_nothing_and_more_than_ten_years_are_refused(text: str) -> None:
    """A typing error does not make a key for a century."""
    with pytest.raises(ValueError, match="at most 10 years"):
        parse_duration(text)


@given(st.integers(1, 400_000_000), st.sampled_from(sorted(UNIT_S)))
def test_a_number_of_units_is_that_many(number: int, unit: str) -> None:
    """Within ten years the duration is exact; beyond them there is none."""
    seconds = number * UNIT_S[unit]
    if seconds <= TEN_YEARS_S:
        assert timedelta(seconds=seconds) == parse_duration(f"{number}{unit}")
    else:
        with pytest.raises(ValueError, match="at most 10 years"):
            parse_duration(f"{number}{unit}")


@given(st.text())
def test_any_other_text_is_a_value_error(text: str) -> None:
    """Bad input never ends in another error."""
    try:
        parse_duration(text)
    except ValueError as error:
        assert str(error).endswith(".")
