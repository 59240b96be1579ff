"""Money is exact, inside and in JSON."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalix_callbacks.core.money import nano_usd, usd_text


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        (0, "0.000000"),
        (1, "0.000000001"),
        (1_000, "0.000001"),
        (240_000, "0.000240"),
        (240_500, "0.0002405"),
        (20_000_000, "0.020000"),
        (1_500_000_000, "1.500000"),
        (123_456_789_012_345_678, "123456789.012345678"),
        (-1_500_000_000, "-1.500000"),
    ],
)
def test_an_amount_has_six_decimals_and_more_only_to_be_exact(amount: int, expected: str) -> None:
    """Prices read alike, and none is rounded."""
    assert expected == usd_text(amount)


@given(st.integers(-(2**63), 2**63))
def test_what_is_written_is_read_again(amount: int) -> None:
    """No nano-dollar is lost on the way through JSON."""
    assert amount == nano_usd(usd_text(amount))


@pytest.mark.parametrize("text", ["", "a", "NaN", "Infinity", "0.0000000001", "1,5"])
def test_what_is_no_exact_amount_is_refused(text: str) -> None:
    """It is not rounded to one."""
    with pytest.raises(ValueError, match="decimal number"):
        nano_usd(text)
