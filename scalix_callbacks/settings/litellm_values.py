"""Values of LiteLLM's own sections whose type it does not check: it would start and fail every call."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from scalix_callbacks.settings.errors import SettingsError, shown

_Check = Callable[[object], bool]

ROUTING_STRATEGIES = (
    "simple-shuffle",
    "least-busy",
    "usage-based-routing",
    "usage-based-routing-v2",
    "latency-based-routing",
    "cost-based-routing",
    "provider-budget-routing",
    "lar1",
)


def check_values(config: Mapping[str, Any]) -> None:
    """Refuses a value that LiteLLM would stumble over later.

    `os.environ/NAME` passes, as does what is not given.

    Raises:
        SettingsError: names the YAML path and the mend.
    """
    for path, values, checks in _sections(config):
        for name, (fits, what) in checks.items():
            value = values.get(name)
            is_deferred = isinstance(value, str) and value.startswith("os.environ/")
            if value is not None and not is_deferred and not fits(value):
                at = f"{path}.{name}" if path else name
                raise SettingsError(f"{at}: {shown(value)} must be {what}. Correct it.")


def _sections(
    config: Mapping[str, Any],
) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, tuple[_Check, str]]]]:
    """Each mapping with checks of its own, under its path; what is no mapping is refused elsewhere."""
    yield "", config, _TOP
    for section, checks in (("router_settings", _ROUTER), ("litellm_settings", _LITELLM)):
        values = config.get(section)
        if isinstance(values, dict):
            yield section, values, checks
    entries = config.get("model_list")
    for i, entry in enumerate(entries if isinstance(entries, list) else []):
        params = entry.get("litellm_params") if isinstance(entry, dict) else None
        if isinstance(params, dict):
            yield f"model_list[{i}].litellm_params", params, _PARAMS


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _is_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) and item for item in value)


_NUMBER = (_is_number, "a number from 0 on")
_TEXT = (lambda value: isinstance(value, str), "a text")
_SWITCH = (lambda value: isinstance(value, bool), "true or false")
_MAPPING = (lambda value: isinstance(value, dict), "a mapping")
_TIMES = {"timeout": _NUMBER, "stream_timeout": _NUMBER, "num_retries": _NUMBER}

_TOP = {"environment_variables": _MAPPING}
_ROUTER = {
    **_TIMES,
    "allowed_fails": _NUMBER,
    "cooldown_time": _NUMBER,
    "max_fallbacks": _NUMBER,
    "retry_after": _NUMBER,
    "retry_policy": _MAPPING,
    "disable_cooldowns": _SWITCH,
    "routing_strategy": (
        lambda value: value in ROUTING_STRATEGIES,
        f"one of {', '.join(ROUTING_STRATEGIES)}",
    ),
}
_LITELLM = {
    "request_timeout": _NUMBER,
    "num_retries": _NUMBER,
    "num_retries_per_request": _NUMBER,
    "drop_params": _SWITCH,
    "cache": _SWITCH,
    "callbacks": (_is_names, "a list of names"),
}
_PARAMS = {
    **_TIMES,
    "api_key": _TEXT,
    "api_base": _TEXT,
    "custom_llm_provider": _TEXT,
    "rpm": _NUMBER,
    "tpm": _NUMBER,
    "weight": _NUMBER,
    "order": _NUMBER,
    "max_retries": _NUMBER,
    "max_parallel_requests": _NUMBER,
    "input_cost_per_token": _NUMBER,
    "output_cost_per_token": _NUMBER,
}
