"""Who is calling, as later steps know it."""

from dataclasses import FrozenInstanceError, fields

import pytest

from scalix_callbacks.core.call import CURRENT_CALL, Call, current_request_id
from scalix_callbacks.core.caller import OPERATOR, Caller, Role


def test_the_operator_has_no_tier_and_no_key() -> None:
    """The master key's own calls are limited by nothing and recorded as `operator`."""
    assert Caller(id="operator", tier=None, role=Role.OPERATOR) == OPERATOR
    assert OPERATOR.is_operator
    assert OPERATOR.key_id is None


def test_on_behalf_of_a_user_is_a_user() -> None:
    """Whatever the operator does for a user has that user's rights."""
    assert not Caller(id="ada", tier="free", role=Role.USER).is_operator


def test_a_caller_holds_no_credential_and_does_not_change() -> None:
    """What goes into logs and records cannot leak a key, nor be edited on the way."""
    assert {"id", "tier", "role", "key_id", "key_hash", "models", "recorded_user"} == {
        field.name for field in fields(Caller)
    }
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
