"""The user's configuration with what the pack needs in it, whoever wrote it and wherever it lies."""

from collections.abc import Collection, Mapping
from copy import deepcopy
from typing import Any

from litellm.proxy.proxy_server import ProxyConfig

from scalix_callbacks.settings.model_list import CALLBACK, CUSTOM_AUTH

OTEL = "otel"

_LITELLM_SETTINGS = {
    # A client's `no-log` would switch our hooks off.
    "global_disable_no_log_param": True,
    # LiteLLM fetches images by address for some providers; not from this machine's own network.
    "user_url_validation": True,
}
_GENERAL_SETTINGS = {
    "custom_auth": CUSTOM_AUTH,
    "master_key": "os.environ/LITELLM_MASTER_KEY",
    # A client that hangs up must not leave a call running, and paid for, behind it.
    "cancel_on_disconnect": True,
}
_DEFAULT_LITELLM_SETTINGS = {
    "drop_params": True,
    "request_timeout": 600,
    "num_retries": 2,
    # Else /v1/messages needs a provider with /v1/responses, which few OpenAI-compatible ones have.
    "use_chat_completions_url_for_anthropic_messages": True,
}
_NEVER_RESTS = dict.fromkeys(
    (
        "NotFoundErrorAllowedFails",
        "RateLimitErrorAllowedFails",
        "TimeoutErrorAllowedFails",
        "InternalServerErrorAllowedFails",
        "ServiceUnavailableErrorAllowedFails",
        "BadGatewayErrorAllowedFails",
    ),
    10**9,
)
"""Of a whole provider (`anthropic/*`): one user who asks for a model that it has not would have it rest for
all, since LiteLLM takes a provider's 404 for the end of the deployment."""


def with_pack(
    config: Mapping[str, Any],
    *,
    unready: Collection[str] = (),
    demo_url: str | None = None,
    exports_spans: bool = False,
) -> dict[str, Any]:
    """A copy of LiteLLM's configuration with our auth and callbacks in it.

    Args:
        config: as read from YAML, includes merged.
        unready: deployments to leave out, as `model_list[i]`: LiteLLM would call them without a key.
        demo_url: base address of the demo provider; set, it serves every model.
        exports_spans: by LiteLLM's own OpenTelemetry.
    """
    merged = deepcopy(dict(config))
    litellm = {**_DEFAULT_LITELLM_SETTINGS, **(merged.get("litellm_settings") or {}), **_LITELLM_SETTINGS}
    theirs = litellm.get("callbacks") or []
    theirs = theirs if isinstance(theirs, list) else [theirs]
    # A cache of LiteLLM's own making would be shared by all users; ours is set in its place.
    litellm.pop("cache", None)
    litellm.pop("cache_params", None)
    litellm["callbacks"] = [CALLBACK, *(callback for callback in theirs if callback != CALLBACK)]
    if litellm.get("set_verbose"):
        # It prints prompts and answers, past all loggers. DEBUG_MODE shows what may be shown.
        litellm["set_verbose"] = False
    if exports_spans and OTEL not in litellm["callbacks"]:
        litellm["callbacks"].append(OTEL)
    if OTEL in litellm["callbacks"]:
        # Spans say what happened, never what was said.
        litellm["turn_off_message_logging"] = True
    merged["litellm_settings"] = litellm
    merged["general_settings"] = {**(merged.get("general_settings") or {}), **_GENERAL_SETTINGS}
    merged["model_list"] = [
        entry for i, entry in enumerate(merged.get("model_list") or []) if f"model_list[{i}]" not in unready
    ]
    for entry in merged["model_list"]:
        if "*" in entry["model_name"]:
            entry["model_info"] = {"allowed_fails_policy": _NEVER_RESTS, **(entry.get("model_info") or {})}
    if demo_url is not None:
        for entry in merged["model_list"]:
            entry["litellm_params"] = _demo_params(entry["litellm_params"], demo_url)
    return merged


def _demo_params(params: Mapping[str, Any], demo_url: str) -> dict[str, Any]:
    kept = {key: params[key] for key in ("weight", "order") if key in params}
    return {**kept, "model": "openai/demo", "api_base": f"{demo_url}/v1", "api_key": "demo-provider"}


class PackConfig(ProxyConfig):
    """LiteLLM's reader of configurations, which adds the pack to each one it reads.

    In memory, so that `include` and modules relative to the user's file keep working, and no second
    file with secrets in it is written.
    """

    def __init__(
        self, *, unready: Collection[str], demo_url: str | None, exports_spans: bool = False
    ) -> None:
        super().__init__()
        self._exports_spans = exports_spans
        self._unready = unready
        self._demo_url = demo_url

    async def _get_config_from_file(self, config_file_path: str | None = None) -> dict[str, Any]:
        # Not `get_config`: LiteLLM applies settings while that runs. `registration.problems` fails a start
        # where a later LiteLLM no longer comes through here.
        config = await super()._get_config_from_file(config_file_path)
        return with_pack(
            config, unready=self._unready, demo_url=self._demo_url, exports_spans=self._exports_spans
        )
