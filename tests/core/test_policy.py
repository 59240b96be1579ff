"""What is a refusal by policy, and what is conspicuous."""

import pytest

from scalix_callbacks.core.errors import ErrorCategory, GatewayError, invalid
from scalix_callbacks.core.policy import Counted, ForbiddenField, Policy, anomalies, policy_of


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ForbiddenField("api_base"), Policy.FORBIDDEN_FIELD),
        (GatewayError(ErrorCategory.MODEL_NOT_IN_TIER), Policy.MODEL_NOT_IN_TIER),
        (GatewayError(ErrorCategory.PERMISSION_DENIED), Policy.PERMISSION_DENIED),
        (GatewayError(ErrorCategory.ACCOUNT_SUSPENDED), Policy.ACCOUNT_SUSPENDED),
        (invalid("model is missing. Add it."), None),
        (GatewayError(ErrorCategory.RATE_LIMIT_EXCEEDED), None),
        (GatewayError(ErrorCategory.MODEL_NOT_FOUND), None),
    ],
)
def test_a_policy_refuses_what_is_not_allowed(error: GatewayError, expected: Policy | None) -> None:
    """Mistakes are none of it, and to reach a limit is no offence."""
    assert expected is policy_of(error)


@pytest.mark.parametrize(
    ("counted", "usual", "rule"),
    [
        (Counted.PLACES_OF_KEY, 10, "many_places"),
        (Counted.REFUSALS, 100, "many_refusals"),
        (Counted.REVOKED_KEYS_USED, 0, "key_after_revocation"),
    ],
)
def test_a_rule_has_a_name_and_a_bound(counted: Counted, usual: int, rule: str) -> None:
    """Up to the bound all is usual."""
    assert ([], [rule]) == (
        [*anomalies(counted, usual)],
        [broken.name for broken in anomalies(counted, usual + 1)],
    )
