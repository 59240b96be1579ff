"""Who is calling: the result of authentication, and all that later steps may know of it."""

from dataclasses import dataclass, field
from enum import StrEnum

from scalix_callbacks.core.tiers import LimitOverride, Tier, TierTable

OPERATOR_ID = "operator"
"""The account name under which the master key's own calls are recorded."""


class Role(StrEnum):
    """Which routes and bodies are open: see `core.routes` and `core.bodies`."""

    USER = "user"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose limits a request counts against, and what it may reach. Never holds the credential.

    Attributes:
        id: the account, or `operator`.
        tier: name of the tier; None for the operator's own calls, which have no limits.
        role: USER also for what the operator does on behalf of a user.
        key_id: public id of the API key used; None for the master key.
        key_hash: SHA-256 of the API key, hex; None for the master key, also where it acts for a named user.
        models: patterns that narrow the tier's models; None: the whole tier.
        limit_overrides: of the account, whatever its tier.
        created_at_s: since when there is the account, Unix time; None: there is none.
        recorded_user: the `user` an operator named beside an `X-Scalix-Key`; recorded, never limited.
    """

    id: str
    tier: str | None
    role: Role
    key_id: str | None = None
    key_hash: str | None = None
    models: tuple[str, ...] | None = None
    limit_overrides: tuple[LimitOverride, ...] = ()
    recorded_user: str | None = None
    created_at_s: float | None = field(default=None, compare=False)

    def tier_in(self, tiers: TierTable) -> Tier | None:
        """The tier with this account's own limits; None for the operator's own calls, which have none."""
        return None if self.tier is None else tiers[self.tier].overridden(self.limit_overrides)

    @property
    def is_operator(self) -> bool:
        return self.role is Role.OPERATOR


OPERATOR = Caller(id=OPERATOR_ID, tier=None, role=Role.OPERATOR)
