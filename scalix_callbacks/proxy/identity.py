"""Our Caller as LiteLLM's UserAPIKeyAuth."""

from functools import cache

from litellm.proxy._types import LitellmUserRoles, UserAPIKeyAuth

from scalix_callbacks.core.caller import Caller
from scalix_callbacks.core.keys import hash_key


def to_litellm(caller: Caller) -> UserAPIKeyAuth:
    """What LiteLLM may know of the caller.

    `api_key` is always a hash: a raw one would show in LiteLLM's errors, logs and Redis keys. LiteLLM's
    own limits, budgets and model lists stay unset; ours are decided before.
    """
    role = LitellmUserRoles.PROXY_ADMIN if caller.is_operator else LitellmUserRoles.INTERNAL_USER
    pattern, containers = _pattern(role)
    # Copied: to have its hundred fields validated anew for each call costs as much as a script in Redis.
    user = pattern.model_copy()
    own = user.__dict__
    for name in containers:
        own[name] = own[name].copy()  # LiteLLM writes into some of them
    own["api_key"] = own["token"] = caller.key_hash or hash_key(caller.id)
    own["user_id"] = caller.id
    return user


@cache
def _pattern(role: LitellmUserRoles) -> tuple[UserAPIKeyAuth, tuple[str, ...]]:
    """One of this role, and the names of its fields that hold a container, all of them empty."""
    user = UserAPIKeyAuth(api_key=hash_key(""), user_id="", user_role=role)
    return user, tuple(name for name, value in user.__dict__.items() if isinstance(value, dict | list | set))
