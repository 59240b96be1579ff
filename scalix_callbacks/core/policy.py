"""Refusals by policy: what somebody may not do, other than by limits; and what is conspicuous about them."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from scalix_callbacks.core.errors import ErrorCategory, GatewayError


class Policy(StrEnum):
    """What refused. Limits and budgets are not among them: to reach those is no offence."""

    MODEL_NOT_IN_TIER = "MODEL_NOT_IN_TIER"
    PERMISSION_DENIED = "PERMISSION_DENIED"  # an address of the operator's or of LiteLLM's own
    FORBIDDEN_FIELD = "FORBIDDEN_FIELD"  # a field of the body that steers LiteLLM
    ACCOUNT_SUSPENDED = "ACCOUNT_SUSPENDED"
    KEY_EXPIRED = "KEY_EXPIRED"
    KEY_REVOKED = "KEY_REVOKED"


class ForbiddenField(GatewayError):
    """A body holds a field that steers LiteLLM.

    Args:
        name: the field, as it may be shown.
    """

    def __init__(self, name: str) -> None:
        super().__init__(
            ErrorCategory.INVALID_REQUEST,
            f"The field {name} is not open to callers. Remove it.",
            param=name,
        )


def policy_of(error: GatewayError) -> Policy | None:
    """What refused; None: no policy did."""
    if isinstance(error, ForbiddenField):
        return Policy.FORBIDDEN_FIELD
    return _OF_CATEGORIES.get(error.category)


_OF_CATEGORIES = {
    ErrorCategory.MODEL_NOT_IN_TIER: Policy.MODEL_NOT_IN_TIER,
    ErrorCategory.PERMISSION_DENIED: Policy.PERMISSION_DENIED,
    ErrorCategory.ACCOUNT_SUSPENDED: Policy.ACCOUNT_SUSPENDED,
}


class Counted(StrEnum):
    """What is counted within an hour."""

    PLACES_OF_KEY = "places_of_key"  # networks from which one key was used
    REFUSALS = "refusals"  # by any policy, of one account
    REVOKED_KEYS_USED = "revoked_keys_used"  # requests with revoked keys of one account


@dataclass(frozen=True, slots=True)
class AnomalyRule:
    """What is conspicuous.

    Attributes:
        name: in the log.
        more_than: how many of `counted` in one hour are still usual.
    """

    name: str
    counted: Counted
    more_than: int


RULES: tuple[AnomalyRule, ...] = (
    AnomalyRule("many_places", Counted.PLACES_OF_KEY, more_than=10),
    AnomalyRule("many_refusals", Counted.REFUSALS, more_than=100),
    AnomalyRule("key_after_revocation", Counted.REVOKED_KEYS_USED, more_than=0),
)
"""Every rule there is; `docs/privacy.md` lists them."""


def anomalies(counted: Counted, count: int) -> Iterator[AnomalyRule]:
    """The rules that so many of them in one hour break."""
    return (rule for rule in RULES if rule.counted is counted and count > rule.more_than)


@dataclass(frozen=True, slots=True)
class Refused:
    """An account was refused by a policy."""

    account_id: str
    policy: Policy


@dataclass(frozen=True, slots=True)
class UsedFrom:
    """A key was used from a network, as `core.places` names it.

    Attributes:
        account_id, key_id: `operator` both for the master key.
    """

    account_id: str
    key_id: str
    network: str


Sighting = Refused | UsedFrom
