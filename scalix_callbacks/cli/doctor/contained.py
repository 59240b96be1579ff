"""A configuration made fit for a trial: nothing in it leads out of the process, and one model answers."""

from collections.abc import Mapping
from typing import Any

from scalix_callbacks.settings.model_list import CALLBACK

TRIAL_MODEL = "scalix-doctor"

# By what is kept, not by what is dropped: dozens of LiteLLM's settings write to caches, send events or, as
# background health checks do, call every model, and each version adds some.
_KEPT: Mapping[str, tuple[str, ...]] = {
    "litellm_settings": (
        "callbacks",
        "global_disable_no_log_param",
        "drop_params",
        "request_timeout",
        "num_retries",
        "use_chat_completions_url_for_anthropic_messages",
    ),
    "general_settings": (
        "custom_auth",
        "master_key",
        "cancel_on_disconnect",
        "custom_auth_run_common_checks",
    ),
    "router_settings": (
        "routing_strategy",
        "model_group_alias",
        "fallbacks",
        "num_retries",
        "max_fallbacks",
        "allowed_fails",
        "cooldown_time",
    ),
}


def contained(config: Mapping[str, Any], provider_url: str) -> dict[str, Any]:
    """What of LiteLLM's configuration is tried.

    Args:
        config: as LiteLLM is about to use it.
        provider_url: base address of a demo provider.
    """
    kept: dict[str, Any] = {
        section: {key: body[key] for key in keys if key in body}
        for section, keys in _KEPT.items()
        if isinstance(body := config.get(section), Mapping)
    }
    callbacks = kept.get("litellm_settings", {}).get("callbacks")
    if isinstance(callbacks, list):
        kept["litellm_settings"]["callbacks"] = [entry for entry in callbacks if entry == CALLBACK]
    trial = {"model": "openai/demo", "api_base": f"{provider_url}/v1", "api_key": "demo-provider"}
    kept["model_list"] = [
        *(config.get("model_list") or []),
        {"model_name": TRIAL_MODEL, "litellm_params": trial},
    ]
    if "credential_list" in config:
        kept["credential_list"] = config["credential_list"]
    return kept
