"""Money as it is kept and as it is told: whole nano-USD inside, decimal strings in JSON."""

from decimal import Decimal, InvalidOperation

NANO = 10**9
_LEAST_DECIMALS = 6
_DECIMALS = 9


def usd_text(nano_usd: int) -> str:
    """USD with six decimals, with up to nine where fewer would not be exact: `0.000240`, `0.000000001`."""
    sign = "-" if nano_usd < 0 else ""
    whole, rest = divmod(abs(nano_usd), NANO)
    decimals = f"{rest:0{_DECIMALS}d}".rstrip("0").ljust(_LEAST_DECIMALS, "0")
    return f"{sign}{whole}.{decimals}"


def nano_usd(text: str) -> int:
    """The amount `usd_text` wrote.

    Raises:
        ValueError: no decimal number, or one finer than a nano-USD.
    """
    try:
        nano = Decimal(text) * NANO
        if nano.is_finite() and nano == nano.to_integral_value():
            return int(nano)
    except InvalidOperation:
        pass
    raise ValueError("An amount of USD is a decimal number with at most nine decimals.")
