"""Our caller, as LiteLLM is told."""

import pytest
from litellm.proxy._types import LitellmUserRoles, UserAPIKeyAuth

from scalix_callbacks.core.caller import OPERATOR, Caller, Role
from scalix_callbacks.core.keys import hash_key
from scalix_callbacks.proxy.identity import to_litellm

BY_KEY = Caller("ada", "free", Role.USER, key_id="key_1", key_hash=hash_key("scalix_" + "k" * 43))
NAMED = Caller("bob", "pro", Role.USER)


@pytest.mark.parametrize(
    ("caller", "role"),
    [
        (BY_KEY, LitellmUserRoles.INTERNAL_USER),
        (NAMED, LitellmUserRoles.INTERNAL_USER),
        (OPERATOR, LitellmUserRoles.PROXY_ADMIN),
    ],
)
def test_only_the_operator_is_an_administrator(caller: Caller, role: LitellmUserRoles) -> None:
    """Everyone else is a user of LiteLLM's, under the account's id."""
    told = to_litellm(caller)

    assert (caller.id, role) == (told.user_id, told.user_role)


@pytest.mark.parametrize("caller", [BY_KEY, NAMED, OPERATOR])
def test_litellm_is_told_a_hash_in_place_of_the_key(caller: Caller) -> None:
    """It would write the key itself into logs, errors and Redis."""
    told = to_litellm(caller)

    assert (caller.key_hash or hash_key(caller.id)) == told.api_key
    assert {told.api_key} == {told.token}


def test_litellms_own_limits_stay_unset() -> None:
    """Ours are decided before; two counts of one thing would contradict each other."""
    told = to_litellm(BY_KEY)

    assert (None, None, None, None, []) == (
        told.rpm_limit,
        told.tpm_limit,
        told.max_budget,
        told.max_parallel_requests,
        told.models,
    )


@pytest.mark.parametrize("caller", [BY_KEY, NAMED, OPERATOR])
def test_a_copied_user_is_as_good_as_a_validated_one(caller: Caller) -> None:
    """Field by field what LiteLLM's own constructor makes; can go with the copy, when that costs nothing."""
    role = LitellmUserRoles.PROXY_ADMIN if caller.is_operator else LitellmUserRoles.INTERNAL_USER
    validated = UserAPIKeyAuth(
        api_key=caller.key_hash or hash_key(caller.id), user_id=caller.id, user_role=role
    )

    assert validated == to_litellm(caller)


def test_what_litellm_notes_on_one_call_is_not_seen_by_the_next() -> None:
    """No container is shared."""
    first, second = to_litellm(BY_KEY), to_litellm(BY_KEY)
    first.metadata["noted"] = True

    assert {} == second.metadata
    shared = [name for name, value in first.__dict__.items() if value is second.__dict__[name]]
    assert [] == [name for name in shared if isinstance(first.__dict__[name], dict | list | set)]
