"""Our Caller as LiteLLM's UserAPIKeyAuth."""

from litellm.proxy._types import LitellmUserRoles, UserAPIKeyAuth

from scalix_callbacks.core.caller import Caller
from scalix_callbacks.core.keys import hash_key


def to_litellm(caller: Caller) -> UserAPIKeyAuth:
    """What LiteLLM may know of the caller.

    `api_key` is always a hash: a raw one would show in LiteLLM's errors, logs and Redis keys. LiteLLM's
    own limits, budgets and model lists stay unset; ours are decided before.
    """
    role = LitellmUserRoles.PROXY_ADMIN if caller.is_operator else LitellmUserRoles.INTERNAL_USER
    return UserAPIKeyAuth(
        api_key=caller.key_hash or hash_key(caller.id),
        user_id=caller.id,
        user_role=role,
    )
