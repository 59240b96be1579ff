"""The `scalix:` block of the YAML → the validated table of tiers."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal, DecimalException
from difflib import get_close_matches
from enum import StrEnum
from typing import Any, TypeVar
from urllib.parse import urlsplit

from scalix_callbacks.core.durations import parse_duration
from scalix_callbacks.core.money import NANO
from scalix_callbacks.core.tiers import (
    DAY_S,
    DEFAULT_TIERS,
    HOUR_S,
    MAX_AMOUNT,
    MAX_OVERLOAD_WAIT_S,
    MAX_WEIGHT,
    MAX_WINDOW_S,
    CacheSharing,
    Feature,
    Limit,
    StoreLost,
    Tier,
    TierTable,
    Unit,
)
from scalix_callbacks.settings.errors import MAX_SHOWN, SettingsError, shown

_TIER_KEYS = (
    "models",
    "limits",
    "features",
    "default_output_tokens",
    "max_output_tokens",
    "upgrade_to",
    "upgrade_url",
    "on_store_lost",
    "cache",
    "overload_weight",
    "overload_wait_s",
)
_LIMIT_KEYS = ("amount", "unit", "window", "window_s", "shadow")
_WINDOWS = {"hour": HOUR_S, "day": DAY_S}


def read_tiers(block: object) -> TierTable:
    """The tiers of the `scalix:` block; what it leaves out has the default of spec C1.

    Raises:
        SettingsError: names the YAML path and the mend.
    """
    if block is None:
        return DEFAULT_TIERS
    top = _mapping(block, "scalix")
    refuse_unknown(top, ("tiers", "prices", "auto", "rollout"), "scalix")
    named = _mapping(top.get("tiers") or {}, "scalix.tiers")
    tiers = {tier.name: tier for tier in DEFAULT_TIERS.values()}
    for name, body in named.items():
        path = f"scalix.tiers.{name if isinstance(name, str) else shown(name)}"
        if not isinstance(name, str) or not name.isidentifier() or len(name) > 32:
            raise SettingsError(f"{path}: a tier's name is a word of letters, digits and _. Rename it.")
        tiers[name] = _tier(name, _mapping(body or {}, path), tiers.get(name), path)
    table = TierTable(tuple(tiers.values()))
    for tier in table.values():
        if tier.upgrade_to is not None and (tier.upgrade_to not in table or tier.upgrade_to == tier.name):
            raise SettingsError(
                f"scalix.tiers.{tier.name}.upgrade_to: there is no other tier {tier.upgrade_to!r}."
                f" Name one of {', '.join(n for n in table if n != tier.name)}."
            )
    return table


def refuse_unknown(mapping: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    """Raises SettingsError for the first key that is not `known`, with the nearest one that is."""
    for key in mapping:
        if key not in known:
            name = key if isinstance(key, str) else shown(key)
            near = get_close_matches(name, known, n=1)
            mend = f"Did you mean {near[0]}?" if near else f"Known are {', '.join(known)}."
            raise SettingsError(f"{where}.{name[:MAX_SHOWN]}: unknown key. {mend}")


def _tier(name: str, body: Mapping[str, Any], default: Tier | None, path: str) -> Tier:
    refuse_unknown(body, _TIER_KEYS, path)
    tier = default or Tier(name=name, models=())
    if "models" in body:
        tier = replace(tier, models=_patterns(body["models"], f"{path}.models"))
    if not tier.models:
        raise SettingsError(f"{path}.models: a new tier must name its models, e.g. ['free-*']. Add them.")
    if "limits" in body:
        tier = replace(tier, limits=_limits(body["limits"], f"{path}.limits"))
    if "features" in body:
        entries = _list(body["features"], f"{path}.features")
        features = (_choice(entry, Feature, f"{path}.features[{i}]") for i, entry in enumerate(entries))
        tier = replace(tier, features=frozenset(features))
    if "default_output_tokens" in body:
        amount = _tokens(body["default_output_tokens"], f"{path}.default_output_tokens")
        tier = replace(tier, default_output_tokens=amount)
    if "max_output_tokens" in body:
        amount = _tokens(body["max_output_tokens"], f"{path}.max_output_tokens")
        tier = replace(tier, max_output_tokens=amount)
    if "upgrade_to" in body:
        tier = replace(tier, upgrade_to=_text(body["upgrade_to"], f"{path}.upgrade_to"))
    if "upgrade_url" in body:
        tier = replace(tier, upgrade_url=_url(body["upgrade_url"], f"{path}.upgrade_url"))
    if "on_store_lost" in body:
        tier = replace(tier, on_store_lost=_choice(body["on_store_lost"], StoreLost, f"{path}.on_store_lost"))
    if "cache" in body:
        # YAML reads a bare `off` as false.
        value = "off" if body["cache"] is False else body["cache"]
        tier = replace(tier, cache=_choice(value, CacheSharing, f"{path}.cache"))
    if "overload_weight" in body:
        weight = _between(body["overload_weight"], 1, MAX_WEIGHT, f"{path}.overload_weight")
        tier = replace(tier, overload_weight=weight)
    if "overload_wait_s" in body:
        wait_s = _between(body["overload_wait_s"], 0, MAX_OVERLOAD_WAIT_S, f"{path}.overload_wait_s")
        tier = replace(tier, overload_wait_s=float(wait_s))
    return tier


def _limits(value: object, path: str) -> tuple[Limit, ...]:
    limits = tuple(_limit(entry, f"{path}[{i}]") for i, entry in enumerate(_list(value, path)))
    seen: set[tuple[Unit, int, bool]] = set()
    for i, limit in enumerate(limits):
        if (limit.unit, limit.window_s, limit.is_shadow) in seen:
            shadow = " in shadow" if limit.is_shadow else ""
            raise SettingsError(
                f"{path}[{i}]: there are two limits on {limit.unit} in {limit.window_s} s{shadow}."
                " Remove one."
            )
        seen.add((limit.unit, limit.window_s, limit.is_shadow))
    return limits


def _limit(value: object, path: str) -> Limit:
    body = _mapping(value, path)
    refuse_unknown(body, _LIMIT_KEYS, path)
    if "unit" not in body or "amount" not in body:
        raise SettingsError(f"{path}: a limit needs amount, unit and window. Add what is missing.")
    unit = _choice(body["unit"], Unit, f"{path}.unit")
    is_shadow = body.get("shadow", False)
    if not isinstance(is_shadow, bool):
        raise SettingsError(f"{path}.shadow: {shown(is_shadow)} must be true or false. Correct it.")
    return Limit(_amount(body["amount"], unit, f"{path}.amount"), unit, _window(body, path), is_shadow)


def _amount(value: object, unit: Unit, path: str) -> int:
    """The amount as an integer; USD become nano-USD."""
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        amount = Decimal(str(value)) * (NANO if unit is Unit.USD else 1)
    except (DecimalException, ValueError):
        raise SettingsError(f"{path}: {shown(value)} is not a number. Write e.g. 10.") from None
    if not amount.is_finite() or amount < 0 or amount > MAX_AMOUNT or amount != int(amount):
        kind = "an amount of USD" if unit is Unit.USD else "a whole number"
        raise SettingsError(f"{path}: {shown(value)} must be {kind} from 0 to {MAX_AMOUNT}. Correct it.")
    return int(amount)


def _window(body: Mapping[str, Any], path: str) -> int:
    if ("window" in body) == ("window_s" in body):
        raise SettingsError(f"{path}: a limit needs one of window (e.g. 1h) and window_s. Correct it.")
    value = body.get("window_s", body.get("window"))
    if isinstance(value, str):
        try:
            value = _WINDOWS.get(value) or int(parse_duration(value).total_seconds())
        except ValueError:
            raise SettingsError(
                f"{path}.window: {shown(value)} is no duration. Write e.g. 1h or 1d."
            ) from None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_WINDOW_S:
        raise SettingsError(f"{path}.window: must be 1 second to 366 days. Write e.g. 1h or 1d.")
    return value


def _tokens(value: object, path: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_AMOUNT:
        raise SettingsError(f"{path}: must be a whole number of tokens above 0, or null. Correct it.")
    return value


def _between(value: object, low: int, high: int, path: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise SettingsError(
            f"{path}: {shown(value)} must be a whole number from {low} to {high}. Correct it."
        )
    return value


def _patterns(value: object, path: str) -> tuple[str, ...]:
    entries = _list(value, path)
    for i, entry in enumerate(entries):
        if not isinstance(entry, str) or not entry.strip() or "," in entry:
            raise SettingsError(f"{path}[{i}]: must be a model name or pattern such as free-*. Correct it.")
    return tuple(entries)


def _url(value: object, path: str) -> str | None:
    text = _text(value, path)
    if text is not None:
        try:
            parts = urlsplit(text)
            is_address = parts.scheme in ("https", "http") and bool(parts.hostname)
        except ValueError:
            is_address = False
        if not is_address or any(c in text for c in " \n()<>"):
            raise SettingsError(
                f"{path}: {shown(text)} is no web address. Write e.g. https://example.com/pro."
            )
    return text


def _text(value: object, path: str) -> str | None:
    if value is not None and (not isinstance(value, str) or not value.strip()):
        raise SettingsError(f"{path}: must be a text, or null. Correct it.")
    return value


_Choice = TypeVar("_Choice", bound=StrEnum)


def _choice(value: object, kind: type[_Choice], path: str) -> _Choice:
    try:
        return kind(value)  # type: ignore[arg-type]  # a StrEnum answers anything unknown with ValueError
    except ValueError:
        known = ", ".join(member.value for member in kind)
        raise SettingsError(f"{path}: {shown(value)} is unknown. Write one of {known}.") from None


def _mapping(value: object, path: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise SettingsError(f"{path}: must be a mapping. Correct it.")
    return value


def _list(value: object, path: str) -> list[Any]:
    if not isinstance(value, list):
        raise SettingsError(f"{path}: must be a list. Correct it.")
    return value
