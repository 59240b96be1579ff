"""What an account is told of each of its limits, the same in headers, bodies and refusals."""

from collections.abc import Iterable
from dataclasses import dataclass

from scalix_callbacks.core.limits import Standing
from scalix_callbacks.core.tiers import DAY_S, HOUR_S, Unit


@dataclass(frozen=True, slots=True)
class Figure:
    """One counter as it is shown (spec C6): what is settled plus this call.

    The tokens and USD other calls hold are not shown: most of them come back. Requests in flight are,
    because they count as used until they fail.

    Attributes:
        limit, remaining: None: not limited. `remaining` is never negative.
        used: may be above `limit`, by the error of an estimate.
        resets_at_s: Unix time; of a window that has not begun, the end it would have.
    """

    unit: Unit
    window_s: int
    limit: int | None
    used: int
    resets_at_s: float

    @property
    def remaining(self) -> int | None:
        return None if self.limit is None else max(self.limit - self.used, 0)

    @property
    def left(self) -> float:
        """The share that is left, from 0 to 1; 1 where nothing is limited, 0 where all is closed."""
        if self.limit is None:
            return 1.0
        return max(self.limit - self.used, 0) / self.limit if self.limit else 0.0

    def reset_ms(self, now_s: float) -> int:
        """How long until the window ends, in milliseconds."""
        # Rounded to the store's own resolution first: differences of floats are never quite whole.
        return max(round((self.resets_at_s - now_s) * 1_000), 0)


def figures_of(
    standings: Iterable[Standing], now_s: float, *, own_tokens: int = 0, own_nano_usd: int = 0
) -> tuple[Figure, ...]:
    """The figures to show, in the order of `standings`.

    Args:
        now_s: the store's clock. A window that is over by then shows nothing used.
        own_tokens, own_nano_usd: what this call holds and the standings do not yet count as used; 0 once
            it is settled.
    """
    own = {Unit.TOKENS: own_tokens, Unit.USD: own_nano_usd}
    return tuple(_figure(standing, now_s, own.get(standing.counter.unit)) for standing in standings)


def _figure(standing: Standing, now_s: float, own: int | None) -> Figure:
    counter = standing.counter
    used, resets_at_s = standing.used, standing.resets_at_s
    held = standing.held if own is None else own
    if resets_at_s <= now_s:
        used, held, resets_at_s = 0, own or 0, now_s + counter.window_s
    return Figure(counter.unit, counter.window_s, counter.amount, used + held, resets_at_s)


def tightest(figures: Iterable[Figure], unit: Unit) -> Figure | None:
    """The limit on `unit` with the least left in proportion; of equals the one with the least left, then
    the one that resets last. None when nothing limits it."""
    limited = (figure for figure in figures if figure.unit is unit and figure.limit is not None)
    return min(limited, key=lambda f: (f.left, f.remaining, -f.resets_at_s), default=None)


_UNITS = ((DAY_S, "d", "day"), (HOUR_S, "h", "hour"), (60, "m", "minute"), (1, "s", "second"))


def window_name(window_s: int) -> str:
    """`1h`, `1d`, `15m`."""
    size, letter, _ = _largest(window_s)
    return f"{window_s // size}{letter}"


def window_words(window_s: int) -> str:
    """What comes after "per": `hour`, `day`, `15 minutes`."""
    size, _, word = _largest(window_s)
    count = window_s // size
    return word if count == 1 else f"{count} {word}s"


def _largest(window_s: int) -> tuple[int, str, str]:
    return next(unit for unit in _UNITS if window_s % unit[0] == 0)
