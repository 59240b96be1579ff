"""What providers charge, by LiteLLM's cost map or a deployment's own price, as exact rates.

The map holds floats. Each is read as its shortest decimal text (`3e-07`), which is what stands in the map's
JSON, and as whole atto-USD for one token. Nothing is computed in floats.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

import litellm

from scalix_callbacks.core.pricing import ATTO_PER_NANO, ATTO_PER_USD, Rates

MAX_REMEMBERED = 10_000
_ABOVE = re.compile(r"input_cost_per_token_above_(\d+)(k?)_tokens")
_ELSEWISE = ("tiered_pricing", "off_peak_pricing", "off_peak", "tiered")
"""Prices that depend on more than the tokens of one call: what it costs is then not known."""


@lru_cache(maxsize=MAX_REMEMBERED)
def provider_rates(deployment_id: str, model: str, base_model: str | None, provider: str) -> Rates | None:
    """What one call of a deployment costs its operator; None: not known.

    Its own price (`input_cost_per_token` in `model_info` or `litellm_params`) goes before that of its
    `base_model`, and this before that of its model, as in LiteLLM. Remembered while this process lives.

    Args:
        model: as LiteLLM calls it, such as `gemini/gemini-2.5-pro`; no pattern.
    """
    for name in (deployment_id, base_model, model):
        if name and (rates := _rates(litellm.model_cost.get(name))) is not None:
            return rates
    bare = (base_model or model).removeprefix(f"{provider}/")
    listed = litellm.model_cost.get(bare)
    # The same name at another provider, such as a local server, has no part in its price.
    return (
        _rates(listed) if isinstance(listed, Mapping) and listed.get("litellm_provider") == provider else None
    )


def _rates(listed: object) -> Rates | None:
    if not isinstance(listed, Mapping) or any(listed.get(name) for name in _ELSEWISE):
        return None
    above = sorted(
        (int(found[1]) * (1_000 if found[2] else 1), found[1] + found[2])
        for name in listed
        if (found := _ABOVE.fullmatch(str(name))) and listed[name] is not None
    )
    base = _step(listed, "")
    if base is None:
        return None
    steps = tuple(
        (least, step) for least, words in above if (step := _step(listed, f"_above_{words}_tokens"))
    )
    return Rates(
        base.input,
        base.cached_input,
        base.output,
        base.request_nano_usd,
        base.cache_write,
        base.reasoning,
        steps,
    )


def _step(listed: Mapping[str, Any], suffix: str) -> Rates | None:
    """The rates under the names with this suffix, where there are none under those without."""

    def rate(name: str) -> int | None:
        found = listed.get(name + suffix)
        return _atto_usd(listed.get(name) if found is None else found)

    paid, output = rate("input_cost_per_token"), rate("output_cost_per_token")
    if output is None and listed.get("mode") == "embedding":
        output = 0  # there is none
    if paid is None or output is None:
        return None
    cached = rate("cache_read_input_token_cost")
    request = _atto_usd(listed.get("input_cost_per_request"))
    return Rates(
        paid,
        paid if cached is None else cached,
        output,
        0 if request is None else request // ATTO_PER_NANO,
        rate("cache_creation_input_token_cost"),
        _atto_usd(listed.get("output_cost_per_reasoning_token")),
    )


def _atto_usd(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        atto = Decimal(str(value)) * ATTO_PER_USD
        return round(atto) if atto.is_finite() and atto >= 0 else None
    except ArithmeticError:
        return None
