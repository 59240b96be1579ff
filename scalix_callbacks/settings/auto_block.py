"""`scalix.auto` of the YAML → what auto mode may choose from, and what counts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scalix_callbacks.core.auto import AUTO_NAMES, Weights
from scalix_callbacks.core.catalogue import Catalogue
from scalix_callbacks.settings.errors import SettingsError, shown
from scalix_callbacks.settings.tier_block import refuse_unknown

MAX_WEIGHT = 100
MAX_PRIORITY = 1_000
_WEIGHTS = ("health", "latency", "price")


@dataclass(frozen=True, slots=True)
class AutoSettings:
    """How auto mode is set.

    Attributes:
        candidates: the models it may choose; None: all that have a name of their own.
        priority: of models of equal merit the one with the highest goes first; those left out have 0.
    """

    candidates: tuple[str, ...] | None = None
    priority: Mapping[str, int] = field(default_factory=dict)
    weights: Weights = field(default_factory=Weights)


def read_auto(block: object, catalogue: Catalogue) -> AutoSettings:
    """The part `auto` of the `scalix:` block, which is known to be a mapping or None.

    Raises:
        SettingsError: names the YAML path and the mend.
    """
    for name in AUTO_NAMES:
        if (taken := catalogue.find_listed(name)) is not None:
            raise SettingsError(
                f"{taken.deployments[0].path}.model_name: {name} is a name of auto mode. Rename the model."
            )
    body = block.get("auto") if isinstance(block, Mapping) else None
    path = "scalix.auto"
    if body is None:
        return AutoSettings()
    if not isinstance(body, dict):
        raise SettingsError(f"{path}: must be a mapping with candidates, priority or weights. Correct it.")
    refuse_unknown(body, ("candidates", "priority", "weights"), path)
    candidates = _candidates(body.get("candidates"), catalogue, f"{path}.candidates")
    priority = _priority(body.get("priority"), candidates, catalogue, f"{path}.priority")
    return AutoSettings(candidates, priority, _weights(body.get("weights"), f"{path}.weights"))


def _candidates(value: object, catalogue: Catalogue, path: str) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not value:
        raise SettingsError(f"{path}: must be a list of model names. Correct it, or leave it out for all.")
    for i, name in enumerate(value):
        _check_model(name, catalogue, f"{path}[{i}]")
        if name in value[:i]:
            raise SettingsError(f"{path}[{i}]: {name} is named twice. Remove one.")
    return tuple(value)


def _priority(
    value: object, candidates: tuple[str, ...] | None, catalogue: Catalogue, path: str
) -> Mapping[str, int]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise SettingsError(f"{path}: must be a mapping such as {{gpt-4.1: 1}}. Correct it.")
    for name, number in value.items():
        here = f"{path}.{name if isinstance(name, str) else shown(name)}"
        _check_model(name, catalogue, here)
        if candidates is not None and name not in candidates:
            raise SettingsError(
                f"{here}: this model is not among scalix.auto.candidates. Add it there or remove it."
            )
        if isinstance(number, bool) or not isinstance(number, int) or abs(number) > MAX_PRIORITY:
            raise SettingsError(
                f"{here}: {shown(number)} must be a whole number from -{MAX_PRIORITY} to {MAX_PRIORITY}."
                " Correct it."
            )
    return dict(value)


def _weights(value: object, path: str) -> Weights:
    if value is None:
        return Weights()
    if not isinstance(value, dict):
        raise SettingsError(f"{path}: must be a mapping of {', '.join(_WEIGHTS)}. Correct it.")
    refuse_unknown(value, _WEIGHTS, path)
    return Weights(**{name: _weight(number, f"{path}.{name}") for name, number in value.items()})


def _weight(value: Any, path: str) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= MAX_WEIGHT:  # which no NaN is
        raise SettingsError(f"{path}: {shown(value)} must be a number from 0 to {MAX_WEIGHT}. Correct it.")
    return float(value)


def _check_model(name: object, catalogue: Catalogue, path: str) -> None:
    if not isinstance(name, str) or "*" in name:
        raise SettingsError(
            f"{path}: {shown(name)} is no name of one model. Auto mode chooses models by name: list it in"
            " model_list by its own."
        )
    if catalogue.find_listed(name) is None:
        raise SettingsError(f"{path}: there is no model {shown(name)} in model_list. Correct the name.")
