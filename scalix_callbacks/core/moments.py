"""Moments as texts: told in ISO 8601 in UTC with a Z, and read."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def iso(moment: datetime) -> str:
    """`2030-01-31T12:00:00.000Z`; microseconds are told only where there are some.

    Raises:
        ValueError: a moment without its zone, which would be read in the machine's.
    """
    if moment.tzinfo is None:
        raise ValueError("A moment needs its zone.")
    moment = moment.astimezone(UTC)
    spec = "microseconds" if moment.microsecond % 1_000 else "milliseconds"
    return moment.isoformat(timespec=spec).removesuffix("+00:00") + "Z"


def iso_of(unix_s: float) -> str:
    """As `iso`, of a Unix time in seconds; to the millisecond, as the store's clock is."""
    return iso(_EPOCH + timedelta(milliseconds=round(unix_s * 1_000)))


def parse_iso(text: str) -> datetime:
    """The moment `iso` wrote.

    Raises:
        ValueError: no ISO moment, or one without its zone.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("A moment needs its zone: write it with a Z.")
    return moment.astimezone(UTC)


def read_moment(text: str) -> datetime:
    """What a person wrote, in UTC, also where no zone is named.

    Raises:
        ValueError: no ISO moment.
    """
    moment = datetime.fromisoformat(text)
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("There is no such moment in UTC.") from error
