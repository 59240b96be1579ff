"""Moments in JSON are UTC, and say so."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalix_callbacks.core.moments import iso, iso_of, parse_iso, read_moment

NOON = datetime(2030, 1, 31, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (NOON, "2030-01-31T12:00:00.000Z"),
        (NOON + timedelta(milliseconds=7), "2030-01-31T12:00:00.007Z"),
        (NOON + timedelta(microseconds=7), "2030-01-31T12:00:00.000007Z"),
        (NOON.astimezone(timezone(timedelta(hours=2))), "2030-01-31T12:00:00.000Z"),
    ],
)
def test_a_moment_ends_with_a_z(moment: datetime, expected: str) -> None:
    """Any client reads it the same."""
    assert expected == iso(moment)


@pytest.mark.parametrize(
    ("unix_s", "expected"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1_896_091_200.0, "2030-01-31T12:00:00.000Z"),
        (1_896_091_200.1234, "2030-01-31T12:00:00.123Z"),
    ],
)
def test_a_unix_time_is_told_to_the_millisecond(unix_s: float, expected: str) -> None:
    """As precise as the clock it comes from."""
    assert expected == iso_of(unix_s)


@given(st.datetimes(timezones=st.just(UTC)))
def test_what_is_written_is_read_again(moment: datetime) -> None:
    """Nothing is rounded."""
    assert moment == parse_iso(iso(moment))


def test_a_moment_without_its_zone_is_refused() -> None:
    """It would mean another moment on another machine."""
    with pytest.raises(ValueError, match="zone"):
        iso(NOON.replace(tzinfo=None))
    with pytest.raises(ValueError, match="zone"):
        parse_iso("2030-01-31T12:00:00")


@pytest.mark.parametrize(
    "text", ["2030-01-31T12:00", "2030-01-31T12:00:00Z", "2030-01-31T14:00:00+02:00", "20300131T120000"]
)
def test_what_people_write_is_in_utc_unless_it_says_otherwise(text: str) -> None:
    """Not in the zone of the machine."""
    assert (NOON, UTC) == (read_moment(text), read_moment(text).tzinfo)


@pytest.mark.parametrize("text", ["", "noon", "2030-13-01", "0001-01-01T00:00:00+02:00"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    """Also one that would lie before the first."""
    with pytest.raises(ValueError):
        read_moment(text)
