"""What of a request needs a feature of its tier; what the tier lacks is dropped, and said (spec C1)."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from scalix_callbacks.core.bodies import Screened
from scalix_callbacks.core.tiers import Feature, Tier

DROPPED_HEADER = "x-scalix-features-dropped"


def within(screened: Screened, tier: Tier | None) -> Screened:
    """The request without what its tier lacks; None is the operator, who has everything."""
    if tier is None:
        return screened
    body, lost_of_body = _without(screened.body, _OF_BODY, tier)
    options, lost_of_options = _without(screened.options or {}, _OF_OPTIONS, tier)
    lost = lost_of_body | lost_of_options
    if not lost:
        return screened
    return replace(screened, body=body, options=options or None, dropped=tuple(sorted(lost)))


def dropped_header(screened: Screened) -> dict[str, str]:
    """Names what was dropped; empty when nothing was."""
    return {DROPPED_HEADER: ", ".join(screened.dropped)} if screened.dropped else {}


def _is_on(value: Any) -> bool:
    return bool(value)


def _is_effort(value: Any) -> bool:
    """`none` asks for no reasoning; without it a model that reasons would."""
    return bool(value != "none")


def _is_thinking(value: Any) -> bool:
    return not isinstance(value, Mapping) or value.get("type") != "disabled"


def _is_reasoning(value: Any) -> bool:
    return not isinstance(value, Mapping) or _is_effort(value.get("effort"))


_Uses = Mapping[str, tuple[Feature, Callable[[Any], bool]]]
"""Field → the feature it needs, and whether a value of it uses that."""

_OF_BODY: _Uses = {
    "reasoning": (Feature.ADVANCED_REASONING, _is_reasoning),
    "reasoning_effort": (Feature.ADVANCED_REASONING, _is_effort),
    "thinking": (Feature.ADVANCED_REASONING, _is_thinking),
}
_OF_OPTIONS: _Uses = {
    "enable_lazy_edits": (Feature.LAZY_EDITS, _is_on),
    "enable_smart_context": (Feature.SMART_CONTEXT, _is_on),
    "enable_smart_files_context": (Feature.SMART_CONTEXT, _is_on),
}


def _without(fields: Mapping[str, Any], uses: _Uses, tier: Tier) -> tuple[dict[str, Any], set[Feature]]:
    kept, lost = {}, set()
    for name, value in fields.items():
        feature, is_used = uses.get(name, (None, _is_on))
        if feature is None or feature in tier.features or not is_used(value):
            kept[name] = value
        else:
            lost.add(feature)
    return kept, lost
