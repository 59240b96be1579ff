"""Fields of a query → values; what they cannot be is said with an example."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TypeVar
from urllib.parse import parse_qsl

from starlette.types import Scope

from scalix_callbacks.core.errors import GatewayError, invalid
from scalix_callbacks.core.moments import read_moment

DEFAULT_PAGE = 100
MAX_PAGE = 1_000
MAX_TEXT = 128
MAX_DIGITS = 15
DEFAULT_DAYS = 30
MAX_DAYS = 366

Query = Mapping[str, str]
_T = TypeVar("_T", bound=str)


@dataclass(frozen=True, slots=True)
class Days:
    """From `first` to `last`, both included, in UTC."""

    first: date
    last: date


def query_of(scope: Scope) -> dict[str, str]:
    return dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))


def text_of(query: Query, name: str) -> str | None:
    """A name of an account, tier or model; None: not given."""
    return None if name not in query else name_of(query[name], name)


def name_of(value: str, param: str) -> str:
    """A name of an account, tier, model or request, as it is; what can be none no database is asked for.

    Raises:
        GatewayError: INVALID_REQUEST.
    """
    if not (1 <= len(value) <= MAX_TEXT and value.isprintable()):
        raise invalid(f"{param} must be 1 to {MAX_TEXT} printable characters.", param=param)
    return value


def limit_of(query: Query) -> int:
    limit = whole_of(query, "limit", MAX_PAGE)
    return DEFAULT_PAGE if limit is None else limit


def whole_of(query: Query, name: str, most: int) -> int | None:
    """A number from 1 to `most`; None: not given."""
    value = query.get(name)
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and len(value) <= MAX_DIGITS and 1 <= int(value) <= most):
        raise invalid(f"{name} must be a whole number from 1 to {most}.", param=name)
    return int(value)


def words_of(query: Query, name: str, words: type[_T], default: Sequence[_T]) -> list[_T]:
    """Names of `words` with commas between them, each once."""
    value = query.get(name)
    if value is None:
        return list(default)
    try:
        return list(dict.fromkeys(words(word) for word in value.split(",")))
    except ValueError:
        known = ", ".join(words)  # type: ignore[arg-type]  # an enum is its members
        raise invalid(f"{name} must be one or more of {known}, with commas between.", param=name) from None


def moment_of(query: Query, name: str) -> datetime | None:
    """In UTC, also where no zone is named. The + of a zone may have come as a space, as queries have it."""
    value = query.get(name)
    if value is None:
        return None
    for text in (value, "+".join(value.rsplit(" ", 1))):
        try:
            return read_moment(text)
        except ValueError:
            continue
    raise invalid(f"{name} must be an ISO 8601 time, such as 2030-01-31T18:00:00Z.", param=name)


def days_of(query: Query, today: date, first: str = "from", last: str = "to") -> Days:
    """The days that are named, or the last 30; a time stands for its day in UTC."""
    start, end = moment_of(query, first), moment_of(query, last)
    end_day = today if end is None else end.date()
    if start is not None:
        start_day = start.date()
    else:  # so early a day that there are no 30 before it
        start_day = max(end_day, date.min + timedelta(days=DEFAULT_DAYS)) - timedelta(days=DEFAULT_DAYS - 1)
    if start_day > end_day:
        raise invalid(f"{first} must not be after {last}.", param=first)
    if (end_day - start_day).days >= MAX_DAYS:
        raise invalid(f"{first} and {last} may be at most {MAX_DAYS} days apart. Ask in parts.", param=first)
    return Days(start_day, end_day)


def bad_cursor() -> GatewayError:
    return invalid("cursor is none that a page gave as next. Leave it out to begin.", param="cursor")
