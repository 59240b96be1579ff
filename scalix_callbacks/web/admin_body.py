"""What the operator sends, checked field by field; whatever is not asked for is named."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from scalix_callbacks.core.durations import parse_duration
from scalix_callbacks.core.errors import GatewayError, invalid
from scalix_callbacks.core.moments import read_moment
from scalix_callbacks.core.money import NANO
from scalix_callbacks.core.tiers import LimitOverride, Unit
from scalix_callbacks.ledger.account_rules import MAX_BUDGET_NANO_USD, MAX_MODELS, MAX_OVERRIDES


class Fields:
    """The fields of one body; each is read once, with its check.

    Args:
        known: the names there may be.

    Raises:
        GatewayError: INVALID_REQUEST naming the field, in `param`; so does every method.
    """

    def __init__(self, body: Mapping[str, Any], known: Collection[str]) -> None:
        for name in body:
            if name not in known:
                may_be = f"Known are {', '.join(known)}." if known else "None is known here."
                raise invalid(f"{name[:64]!r} is no field of this request. {may_be}", param=name[:64])
        self._body = body

    def has(self, name: str) -> bool:
        return name in self._body

    def text(self, name: str) -> str | None:
        value = self._body.get(name)
        if value is not None and (not isinstance(value, str) or not value):
            raise invalid(f"{name} must be a text.", param=name)
        return value

    def flag(self, name: str) -> bool:
        value = self._body.get(name)
        if not isinstance(value, bool):
            raise invalid(f"{name} must be true or false.", param=name)
        return value

    def texts(self, name: str) -> list[str] | None:
        value = self._body.get(name)
        if value is None:
            return None
        is_list = isinstance(value, list) and 1 <= len(value) <= MAX_MODELS
        if not is_list or not all(isinstance(each, str) and each for each in value):
            raise invalid(f"{name} must be a list of 1 to {MAX_MODELS} texts, or null.", param=name)
        return list(dict.fromkeys(value))

    def moment(self, name: str, now: datetime) -> datetime | None:
        """An ISO time, or a duration from now on."""
        text = self.text(name)
        if text is None:
            return None
        try:
            return now + parse_duration(text)
        except ValueError:
            pass
        try:
            return read_moment(text)
        except ValueError:
            raise invalid(
                f"{name} must be an ISO 8601 time (2030-01-31T18:00:00Z), or a duration from now (30d).",
                param=name,
            ) from None

    def duration(self, name: str) -> timedelta | None:
        text = self.text(name)
        try:
            return None if text is None else parse_duration(text)
        except ValueError as error:
            raise invalid(f"{name}: {error}", param=name) from None

    def window_s(self, name: str) -> int | None:
        """A duration, in seconds."""
        duration = self.duration(name)
        return None if duration is None else int(duration.total_seconds())

    def usd(self, name: str) -> int | None:
        """In nano-USD; a number or a decimal text."""
        value = self._body.get(name)
        return None if value is None else _nano_usd(value, name)

    def limits(self, name: str) -> list[LimitOverride]:
        """As they are told: `[{"unit", "window_s", "limit", "shadow"?}]`."""
        value = self._body.get(name)
        if not isinstance(value, list) or not 1 <= len(value) <= MAX_OVERRIDES:
            raise invalid(f"{name} must be a list of 1 to {MAX_OVERRIDES} limits.", param=name)
        return [_limit(each, f"{name}[{i}]") for i, each in enumerate(value)]


def _limit(value: Any, place: str) -> LimitOverride:
    if not isinstance(value, dict) or {*value} - {"shadow"} != {"unit", "window_s", "limit"}:
        raise invalid(
            f"{place} must be an object of unit, window_s, limit and, if you like, shadow.", param=place
        )
    unit, window_s, amount = value["unit"], value["window_s"], value["limit"]
    is_shadow = value.get("shadow", False)
    if not isinstance(is_shadow, bool):
        raise invalid(f"{place}.shadow must be true or false.", param=place)
    if unit not in [each.value for each in Unit]:
        raise invalid(f"{place}.unit must be one of {', '.join(Unit)}.", param=place)
    if not _is_whole(window_s):
        raise invalid(f"{place}.window_s must be a whole number of seconds.", param=place)
    if amount is not None and unit == Unit.USD:
        amount = _nano_usd(amount, f"{place}.limit")
    elif amount is not None and not _is_whole(amount):
        raise _not_whole(place)
    return LimitOverride(Unit(unit), window_s, amount, is_shadow)


def _not_whole(place: str) -> GatewayError:
    return invalid(f"{place}.limit must be a whole number, or null for no limit.", param=place)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _nano_usd(value: Any, name: str) -> int:
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str) or len(str(value)) > 40:
            raise ValueError
        nano = Decimal(str(value)) * NANO
        if not nano.is_finite() or not 0 <= nano <= MAX_BUDGET_NANO_USD or nano != nano.to_integral_value():
            raise ValueError
    except (InvalidOperation, ValueError):
        most = MAX_BUDGET_NANO_USD // NANO
        raise invalid(
            f"{name} must be an amount of USD from 0 to {most} with at most nine decimals.", param=name
        ) from None
    return int(nano)
