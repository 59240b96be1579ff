"""`scalix.prices` of the YAML → the validated table of what users pay."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal, DecimalException
from typing import Any

from scalix_callbacks.core.money import NANO
from scalix_callbacks.core.pricing import ATTO_PER_NANO, Price, PriceTable, Rates
from scalix_callbacks.core.tiers import TierTable
from scalix_callbacks.settings.errors import SettingsError, shown
from scalix_callbacks.settings.tier_block import refuse_unknown

MAX_PRICES = 10_000
MAX_USD = 1_000
"""For a thousand tokens, or for a request."""

_KEYS = (
    "model",
    "tier",
    "from",
    "input_usd_per_1k",
    "cached_input_usd_per_1k",
    "output_usd_per_1k",
    "usd_per_request",
)
_EPOCH = date(1970, 1, 1).toordinal()


def read_prices(block: object, tiers: TierTable) -> PriceTable:
    """The prices of the `scalix:` block, which is known to be a mapping or None.

    Raises:
        SettingsError: names the YAML path and the mend.
    """
    entries = block.get("prices") if isinstance(block, Mapping) else None
    path = "scalix.prices"
    if entries is None:
        return PriceTable()
    if not isinstance(entries, list) or len(entries) > MAX_PRICES:
        raise SettingsError(f"{path}: must be a list of at most {MAX_PRICES} prices. Correct it.")
    seen: dict[tuple[str, str | None, int], int] = {}
    prices = []
    for i, entry in enumerate(entries):
        price = _price(entry, tiers, f"{path}[{i}]")
        key = (price.model, price.tier, price.from_day)
        if key in seen:
            raise SettingsError(
                f"{path}[{i}]: {path}[{seen[key]}] is a price for the same model, tier and date."
                " Remove one, or give it another from."
            )
        seen[key] = i
        prices.append(price)
    return PriceTable(prices)


def _price(entry: object, tiers: TierTable, path: str) -> Price:
    if not isinstance(entry, dict):
        raise SettingsError(f"{path}: must be a mapping with model and its prices. Correct it.")
    refuse_unknown(entry, _KEYS, path)
    model, tier = entry.get("model"), entry.get("tier")
    if not isinstance(model, str) or not model.strip() or "," in model:
        raise SettingsError(f"{path}.model: must be a model name or pattern such as free-*. Add it.")
    if tier is not None and (not isinstance(tier, str) or tier not in tiers):
        raise SettingsError(f"{path}.tier: there is no tier {shown(tier)}. Write one of {', '.join(tiers)}.")
    return Price(model, _rates(entry, path), tier, _day(entry.get("from"), f"{path}.from"))


def _rates(entry: Mapping[str, Any], path: str) -> Rates | None:
    """None where both prices of tokens are null: from then on, nobody knows."""
    for name in ("input_usd_per_1k", "output_usd_per_1k"):
        if name not in entry:
            raise SettingsError(
                f"{path}: {name} is missing. Add it: 0 costs nothing, null for both is not known."
            )
    paid = _nano_usd(entry, "input_usd_per_1k", path)
    cached = _nano_usd(entry, "cached_input_usd_per_1k", path)
    output = _nano_usd(entry, "output_usd_per_1k", path)
    request = _nano_usd(entry, "usd_per_request", path)
    if paid is None and output is None and cached is None and request is None:
        return None
    if paid is None or output is None:
        raise SettingsError(
            f"{path}: of input_usd_per_1k and output_usd_per_1k only one is known. Write both, or null for"
            " both and no other price."
        )
    return Rates(
        _rate(paid),
        _rate(paid if cached is None else cached),
        _rate(output),
        0 if request is None else request,
    )


def _rate(nano_usd_per_1k: int) -> int:
    return nano_usd_per_1k * ATTO_PER_NANO // 1_000


def _nano_usd(entry: Mapping[str, Any], name: str, path: str) -> int | None:
    value = entry.get(name)
    if value is None:
        return None
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        nano = Decimal(str(value)) * NANO
        if not nano.is_finite():
            raise ValueError
    except (DecimalException, ValueError):
        raise SettingsError(f"{path}.{name}: {shown(value)} is not a number. Write e.g. 0.02.") from None
    if not 0 <= nano <= MAX_USD * NANO:
        raise SettingsError(
            f"{path}.{name}: {shown(value)} must be an amount of USD from 0 to {MAX_USD}. Correct it."
        )
    if nano != int(nano):
        raise SettingsError(f"{path}.{name}: {shown(value)} has more than nine decimals. Round it.")
    return int(nano)


def _day(value: object, path: str) -> int:
    """Days since 1970-01-01; 0 where none is named."""
    if value is None:
        return 0
    if isinstance(value, str):
        with suppress(ValueError):
            value = date.fromisoformat(value)
    if not isinstance(value, date) or isinstance(value, datetime) or value.toordinal() < _EPOCH:
        raise SettingsError(f"{path}: {shown(str(value))} is no date (UTC). Write e.g. 2026-12-01.")
    return value.toordinal() - _EPOCH
