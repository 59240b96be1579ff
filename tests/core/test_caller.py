"""Who is calling, as later steps know it."""

from dataclasses import FrozenInstanceError, fields, replace

import pytest

from scalix_callbacks.core.call import CURRENT_CALL, Call, current_request_id
from scalix_callbacks.core.caller import OPERATOR, Caller, Role
from scalix_callbacks.core.tiers import DAY_S, DEFAULT_TIERS, HOUR_S, Limit, LimitOverride, Unit


def test_the_operator_has_no_tier_and_no_key() -> None:
    """The master key's own calls are limited by nothing and recorded as `operator`."""
    assert Caller(id="operator", tier=None, role=Role.OPERATOR) == OPERATOR
    assert OPERATOR.is_operator
    assert OPERATOR.key_id is None


def test_on_behalf_of_a_user_is_a_user() -> None:
    """Whatever the operator does for a user has that user's rights."""
    assert not Caller(id="ada", tier="free", role=Role.USER).is_operator


def test_a_callers_tier_has_the_accounts_own_limits() -> None:
    """Everything else is the tier's; the operator's own calls have none."""
    generous = LimitOverride(Unit.REQUESTS, HOUR_S, 500)
    ada = Caller(id="ada", tier="pro", role=Role.USER, limit_overrides=(generous,))
    expected = replace(
        DEFAULT_TIERS["pro"], limits=(Limit(500, Unit.REQUESTS, HOUR_S), Limit(100_000, Unit.TOKENS, DAY_S))
    )

    assert expected == ada.tier_in(DEFAULT_TIERS)
    assert OPERATOR.tier_in(DEFAULT_TIERS) is None


def test_a_caller_holds_no_credential_and_does_not_change() -> None:
    """What goes into logs and records cannot leak a key, nor be edited on the way."""
    assert {
        "id",
        "tier",
        "role",
        "key_id",
        "key_hash",
        "models",
        "limit_overrides",
        "recorded_user",
        "created_at_s",
    } == {field.name for field in fields(Caller)}
    with pytest.raises(FrozenInstanceError):
        OPERATOR.id = "ada"  # type: ignore[misc]


def test_the_request_id_is_known_inside_of_a_call_alone() -> None:
    """Log lines outside of a call carry none."""
    assert current_request_id() is None
    token = CURRENT_CALL.set(Call("r-1"))
    try:
        assert "r-1" == current_request_id()
    finally:
        CURRENT_CALL.reset(token)
