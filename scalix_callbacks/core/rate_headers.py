"""The response headers that tell where an account stands."""

from collections.abc import Iterable, Sequence
from functools import lru_cache

from scalix_callbacks.core.figures import Figure, tightest, window_name
from scalix_callbacks.core.tiers import Unit

_SHOWN = (Unit.REQUESTS, Unit.TOKENS)
_WINDOWS_KNOWN = 1_024
"""They are those of the tiers, and of accounts with limits of their own."""
_MAX_INTEGER = 999_999_999_999_999
"""Structured fields know no larger one (RFC 9651, 3.3.1)."""


def rate_headers(figures: Sequence[Figure], now_s: float) -> dict[str, str]:
    """Headers for requests and tokens; none where nothing is limited.

    OpenAI's `x-ratelimit-limit-requests`, `-remaining-requests`, `-reset-requests` and the same for tokens
    tell the window with the least left in proportion; with `-1h`, `-1d` behind them each window by itself.
    `RateLimit-Policy` and `RateLimit` follow draft-ietf-httpapi-ratelimit-headers-11, sections 3 and 4;
    `qu="tokens"` is a unit its registry does not have, but without it tokens would be read as requests.
    Budgets are told by other means: a structured field has no room for nano-USD.
    """
    limited = [figure for figure in figures if figure.unit in _SHOWN and figure.limit is not None]
    headers: dict[str, str] = {}
    for unit in _SHOWN:
        if (figure := tightest(limited, unit)) is not None:
            headers |= _openai(figure, now_s, unit.value)
    for figure in limited:
        headers |= _openai(figure, now_s, _name(figure.unit, figure.window_s))
    if limited:
        headers["ratelimit-policy"] = _list(_policy(figure) for figure in limited)
        headers["ratelimit"] = _list(_service_limit(figure, now_s) for figure in limited)
    return headers


def openai_duration(milliseconds: int) -> str:
    """A length of time as OpenAI's reset headers write it: `1h2m3s`, `6m0s`, `1s`, `20ms`, `0s`.

    From a second on it is in whole seconds, rounded up: nobody is sent back too early.
    """
    if 0 < milliseconds < 1_000:
        return f"{milliseconds}ms"
    minutes, seconds = divmod(-(-milliseconds // 1_000), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{seconds}s"
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"


def _openai(figure: Figure, now_s: float, what: str) -> dict[str, str]:
    limit, remaining, reset = _openai_names(what)
    return {
        limit: str(figure.limit),
        remaining: str(figure.remaining),
        reset: openai_duration(figure.reset_ms(now_s)),
    }


@lru_cache(maxsize=_WINDOWS_KNOWN)
def _openai_names(what: str) -> tuple[str, str, str]:
    return f"x-ratelimit-limit-{what}", f"x-ratelimit-remaining-{what}", f"x-ratelimit-reset-{what}"


def _policy(figure: Figure) -> str:
    unit = "" if figure.unit is Unit.REQUESTS else f';qu="{figure.unit.value}"'
    return f'"{_name(figure.unit, figure.window_s)}";q={_integer(figure.limit)}{unit};w={figure.window_s}'


def _service_limit(figure: Figure, now_s: float) -> str:
    reset_s = -(-figure.reset_ms(now_s) // 1_000)
    return f'"{_name(figure.unit, figure.window_s)}";r={_integer(figure.remaining)};t={reset_s}'


@lru_cache(maxsize=_WINDOWS_KNOWN)
def _name(unit: Unit, window_s: int) -> str:
    return f"{unit}-{window_name(window_s)}"


def _integer(value: int | None) -> int:
    return min(value or 0, _MAX_INTEGER)


def _list(items: Iterable[str]) -> str:
    return ", ".join(items)
