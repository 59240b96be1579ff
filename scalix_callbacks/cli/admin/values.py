"""Words of a command line → values, for argparse; what they cannot be is said with an example."""

import argparse
import re
from datetime import date, datetime, timedelta
from decimal import Decimal

from scalix_callbacks.core.bills import parse_month
from scalix_callbacks.core.durations import parse_duration
from scalix_callbacks.core.moments import read_moment
from scalix_callbacks.core.tiers import LimitOverride, Unit
from scalix_callbacks.ledger.accounts import MAX_PAGE
from scalix_callbacks.ledger.usage_sums import Group

_USD = re.compile(r"[0-9]{1,10}(\.[0-9]{1,9})?")


def moment(text: str) -> datetime | timedelta:
    try:
        return parse_duration(text)
    except ValueError:
        pass
    try:
        return read_moment(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            "must be a date (2030-01-31), a time (2030-01-31T18:00Z) or a duration (30d, 1mo)"
        ) from None


def moment_or_never(text: str) -> datetime | timedelta | str:
    return text if text == "never" else moment(text)


def duration(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def usd_or_none(text: str) -> int | None:
    return None if text == "none" else usd(text)


def usd(text: str) -> int:
    """In nano-USD."""
    if not _USD.fullmatch(text):
        raise argparse.ArgumentTypeError("must be an amount of USD with up to 9 decimals, such as 12.50")
    return int(Decimal(text).scaleb(9))


def override(text: str) -> LimitOverride:
    """`requests/1h=500`, in shadow `requests/1h=500:shadow`"""
    name, _, value = text.partition("=")
    value, _, suffix = value.partition(":")
    if suffix not in ("", "shadow"):
        raise argparse.ArgumentTypeError(
            "may end with :shadow and nothing else, such as requests/1h=500:shadow"
        )
    unit, window_s = window(name)
    is_shadow = suffix == "shadow"
    if value == "none":
        return LimitOverride(unit, window_s, None, is_shadow)
    if unit is Unit.USD:
        return LimitOverride(unit, window_s, usd(value), is_shadow)
    if not (value.isascii() and value.isdigit() and len(value) <= 16):
        raise argparse.ArgumentTypeError("needs an amount, or none: requests/1h=500, tokens/1d=none")
    return LimitOverride(unit, window_s, int(value), is_shadow)


def window(text: str) -> tuple[Unit, int]:
    """`requests/1h`"""
    unit, _, window = text.partition("/")
    try:
        return Unit(unit), int(parse_duration(window).total_seconds())
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"must be {', '.join(Unit)}, a slash and a window, such as requests/1h"
        ) from None


def page(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MAX_PAGE):
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to {MAX_PAGE}")
    return int(text)


def number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise argparse.ArgumentTypeError("must be a whole number")
    return int(text)


def day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("must be a day such as 2030-01-31") from None


def month(text: str) -> str:
    try:
        parse_month(text)
    except ValueError:
        raise argparse.ArgumentTypeError("must be a year and a month, such as 2026-11") from None
    return text


def groups(text: str) -> tuple[Group, ...]:
    try:
        return tuple(dict.fromkeys(map(Group, text.split(","))))
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be of {', '.join(Group)}, with commas between") from None


def models(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise argparse.ArgumentTypeError("must be names of models with commas between them")
    return names
