"""`scalix.rollout` of the YAML → which flags there are, how they begin, and what rolls them back."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scalix_callbacks.core.rollout import (
    DEFAULT_FLAGS,
    DEFAULT_PACES,
    MAX_DELAY_DAYS,
    MAX_FLAGS,
    MAX_NAME,
    MAX_SHARE,
    Flag,
    Group,
    Pace,
)
from scalix_callbacks.core.rollout_evidence import Triggers
from scalix_callbacks.settings.errors import SettingsError, shown
from scalix_callbacks.settings.tier_block import refuse_unknown

_NAME = re.compile(rf"[A-Za-z][A-Za-z0-9_]{{0,{MAX_NAME - 1}}}", re.ASCII)
_FLAG_KEYS = ("percent", "daily_percent", "groups")
_PACE_KEYS = ("share", "delay_days", "at_once")
_TRIGGERS: Mapping[str, tuple[int, int]] = {
    "error_percent": (0, 100),
    "error_minutes": (1, 60),
    "p95_s": (0, 600),
    "p95_minutes": (1, 60),
    "min_calls": (1, 100_000),
    "minute_s": (1, 60),
}
_FRACTIONS = ("error_percent", "p95_s")


@dataclass(frozen=True, slots=True)
class RolloutSettings:
    """How rollouts are set. Flags beside the four there always are come after them."""

    flags: tuple[Flag, ...] = tuple(Flag(name) for name in DEFAULT_FLAGS)
    triggers: Triggers = field(default_factory=Triggers)


def read_rollout(block: object) -> RolloutSettings:
    """The part `rollout` of the `scalix:` block, which is known to be a mapping or None.

    Raises:
        SettingsError: names the YAML path and the mend.
    """
    body = block.get("rollout") if isinstance(block, Mapping) else None
    path = "scalix.rollout"
    if body is None:
        return RolloutSettings()
    top = _mapping(body, path, "flags and triggers")
    refuse_unknown(top, ("flags", "triggers"), path)
    return RolloutSettings(
        _flags(top.get("flags"), f"{path}.flags"), _triggers(top.get("triggers"), f"{path}.triggers")
    )


def _flags(value: object, path: str) -> tuple[Flag, ...]:
    flags = {name: Flag(name) for name in DEFAULT_FLAGS}
    for name, body in _mapping(value, path, "flags, such as {liteLLM: {percent: 10}}").items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise SettingsError(
                f"{path}.{shown(name)}: a flag's name is a letter and up to {MAX_NAME - 1} letters, digits"
                " and _. Rename it."
            )
        flags[name] = _flag(name, body, f"{path}.{name}")
    if len(flags) > MAX_FLAGS:
        raise SettingsError(f"{path}: {len(flags)} flags, and at most {MAX_FLAGS} may there be. Remove some.")
    return tuple(flags.values())


def _flag(name: str, value: object, path: str) -> Flag:
    body = _mapping(value, path, ", ".join(_FLAG_KEYS))
    refuse_unknown(body, _FLAG_KEYS, path)
    default = Flag(name)
    groups = _mapping(body.get("groups"), f"{path}.groups", f"groups: {', '.join(Group)}")
    paces = dict(DEFAULT_PACES)
    for group, pace in groups.items():
        if group not in [each.value for each in Group]:
            raise SettingsError(
                f"{path}.groups.{shown(group)}: unknown group. Name one of {', '.join(Group)}."
            )
        paces[Group(group)] = _pace(pace, paces[Group(group)], f"{path}.groups.{group}")
    return Flag(
        name,
        _whole(body, "percent", default.percent, 100, path),
        _whole(body, "daily_percent", default.daily_percent, 100, path),
        paces,
    )


def _pace(value: object, default: Pace, path: str) -> Pace:
    body = _mapping(value, path, ", ".join(_PACE_KEYS))
    refuse_unknown(body, _PACE_KEYS, path)
    at_once = body.get("at_once", default.at_once if body.keys() <= {"at_once"} else False)
    if not isinstance(at_once, bool):
        raise SettingsError(f"{path}.at_once: {shown(at_once)} must be true or false. Correct it.")
    return Pace(
        _whole(body, "share", default.share, MAX_SHARE, path),
        _whole(body, "delay_days", default.delay_days, MAX_DELAY_DAYS, path),
        at_once,
    )


def _triggers(value: object, path: str) -> Triggers:
    body = _mapping(value, path, ", ".join(_TRIGGERS))
    refuse_unknown(body, tuple(_TRIGGERS), path)
    for name, number in body.items():
        low, high = _TRIGGERS[name]
        is_fraction = name in _FRACTIONS
        kinds = (int, float) if is_fraction else int
        is_number = isinstance(number, kinds) and not isinstance(number, bool)
        if not is_number or not low <= number <= high:
            what = "a number" if is_fraction else "a whole number"
            raise SettingsError(
                f"{path}.{name}: {shown(number)} must be {what} from {low} to {high}. Correct it."
            )
    return Triggers(**body)


def _mapping(value: object, path: str, of: str) -> dict[Any, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise SettingsError(f"{path}: must be a mapping of {of}. Correct it.")
    return value


def _whole(body: Mapping[Any, Any], name: str, default: int, most: int, path: str) -> int:
    value = body.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise SettingsError(
            f"{path}.{name}: {shown(value)} must be a whole number from 0 to {most}. Correct it."
        )
    return value
