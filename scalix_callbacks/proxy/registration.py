"""Proof that LiteLLM really calls us: it skips hooks it does not find without a word."""

import litellm
from litellm.proxy import proxy_server

from scalix_callbacks.proxy import answer_cache
from scalix_callbacks.proxy.auth import authenticate
from scalix_callbacks.proxy.callbacks import HOOKS, ScalixCallbacks


def problems() -> list[str]:
    """What is not registered in this process's LiteLLM, a sentence each; empty when all is."""
    found = []
    ours = [callback for callback in litellm.callbacks if isinstance(callback, ScalixCallbacks)]
    if len(ours) != 1:
        found.append(f"litellm.callbacks holds ScalixCallbacks {len(ours)} times instead of once")
    for callback in ours:
        missing = [hook for hook in HOOKS if hook not in vars(type(callback))]
        found += [f"the hook {hook} is not defined on the registered class itself" for hook in missing]
    if proxy_server.user_custom_auth is not authenticate:
        found.append("general_settings.custom_auth is not scalix_callbacks.plugin.authenticate")
    if not litellm.global_disable_no_log_param:
        found.append("litellm_settings.global_disable_no_log_param is off: clients could switch hooks off")
    if litellm.cache is not None and answer_cache.installed() is None:
        found.append("litellm_settings.cache is on: LiteLLM's own cache would be shared by all users")
    if not proxy_server.general_settings.get("cancel_on_disconnect"):
        found.append("general_settings.cancel_on_disconnect is off: calls would outlive their clients")
    return found


def dropped_deployments(public_names: set[str]) -> list[str]:
    """Names of the configuration that LiteLLM's router does not have: it drops what it cannot read."""
    router = proxy_server.llm_router
    known = {entry["model_name"] for entry in router.model_list} if router is not None else set()
    return sorted(public_names - known)
