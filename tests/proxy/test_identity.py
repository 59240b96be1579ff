"""Our caller, as LiteLLM is told."""

import pytest
from litellm.proxy._types import LitellmUserRoles

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
