"""Values of LiteLLM's own sections whose type it does not check: it would start and fail every call."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from scalix_callbacks.core.redis_address import MANY_SCHEMES
from scalix_callbacks.settings.errors import SettingsError, shown

_Check = Callable[[object], bool]

MAX_NUMBER = 10**15
"""LiteLLM counts with floats, in which this is still exact."""
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

_REDIS_URLS = ("router_settings.redis_url", "general_settings.coordination_redis.url")


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
        info = entry.get("model_info") if isinstance(entry, dict) else None
        if isinstance(info, dict):
            yield f"model_list[{i}].model_info", info, {"order": _ORDER}


def check_litellms_redis(config: Mapping[str, Any], redis_url: str | None) -> None:
    """Refuses to hand LiteLLM an address that only we can read, that of a cluster or of Sentinels.

    It would go on without a Redis, and say so in its log alone.

    Raises:
        SettingsError: names the YAML path and the mend.
    """
    if redis_url is None or not redis_url.startswith(MANY_SCHEMES):
        return
    for path in _REDIS_URLS:
        value: Any = config
        for name in path.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        if value == "os.environ/REDIS_URL":
            raise SettingsError(
                f"{path}: LiteLLM cannot read this REDIS_URL. Take the line out: cooldowns and"
                " cached answers are shared without it."
            )


def check_routing(params: Mapping[str, Any], resolve: Callable[[object], object], path: str) -> None:
    """Refuses a weight or an order that the environment makes none; what the YAML says, `check_values` sees.

    LiteLLM would drop the deployment, and say so in its log alone.

    Args:
        resolve: `os.environ/NAME` → its value, None when unset.

    Raises:
        SettingsError: names the YAML path, the variable and the mend.
    """
    for name, (fits, what) in (("weight", _WEIGHT), ("order", _ORDER)):
        value = params.get(name)
        resolved = resolve(value)
        if not isinstance(value, str) or not isinstance(resolved, str):
            continue
        if not fits(_number(resolved)):
            raise SettingsError(
                f"{path}.{name}: {value} is {shown(resolved)}; it must be {what}. Correct it."
            )


def _number(text: str) -> object:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _is_number(value: object) -> bool:
    """No NaN, which is neither above nor below, and nothing infinite, which no other weight goes beside."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value <= MAX_NUMBER


def _is_count(value: object) -> bool:
    return _is_number(value) and isinstance(value, int)


def _is_policy(value: object) -> bool:
    return isinstance(value, dict) and all(count is None or _is_count(count) for count in value.values())


def _is_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) and item for item in value)


_NUMBER = (_is_number, "a number from 0 on")
_COUNT = (_is_count, "a whole number from 0 on")
_WEIGHT, _ORDER = _NUMBER, _COUNT
_CHAIN = (
    lambda value: False,
    "left out: LiteLLM would call other models past the tiers. Write a chain under router_settings.fallbacks",
)
_TEXT = (lambda value: isinstance(value, str), "a text")
_SWITCH = (lambda value: isinstance(value, bool), "true or false")
_MAPPING = (lambda value: isinstance(value, dict), "a mapping")
_TIMES = {"timeout": _NUMBER, "stream_timeout": _NUMBER, "num_retries": _COUNT}

_TOP = {"environment_variables": _MAPPING}
_ROUTER = {
    **_TIMES,
    "allowed_fails": _COUNT,
    "cooldown_time": _NUMBER,
    "max_fallbacks": _COUNT,
    "retry_after": _NUMBER,
    "retry_policy": (_is_policy, "a mapping of whole numbers such as {AuthenticationErrorRetries: 0}"),
    "disable_cooldowns": _SWITCH,
    "routing_strategy": (
        lambda value: value in ROUTING_STRATEGIES,
        f"one of {', '.join(ROUTING_STRATEGIES)}",
    ),
}
_LITELLM = {
    "request_timeout": _NUMBER,
    "num_retries": _COUNT,
    "num_retries_per_request": _COUNT,
    "model_fallbacks": _CHAIN,
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
    "weight": _WEIGHT,
    "order": _ORDER,
    "max_retries": _COUNT,
    "max_parallel_requests": _COUNT,
    "input_cost_per_token": _NUMBER,
    "output_cost_per_token": _NUMBER,
    **dict.fromkeys(
        (
            "fallbacks",
            "default_fallbacks",
            "context_window_fallbacks",
            "context_window_fallback_dict",
            "content_policy_fallbacks",
        ),
        _CHAIN,
    ),
}
