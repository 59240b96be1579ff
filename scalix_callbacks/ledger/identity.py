"""What the ledger knows of a caller: the account and the key, as read."""

from dataclasses import dataclass
from datetime import datetime

from scalix_callbacks.core.budget import BUDGET_WINDOW_S
from scalix_callbacks.core.tiers import LimitOverride, Unit

FALLBACK_TIER = "free"
"""Where an account falls back to when its tier was granted until a moment now past."""


@dataclass(frozen=True, slots=True)
class Account:
    """Whose limits count.

    Attributes:
        tier: the tier last set; see `tier_at` for the one that holds.
        tier_until: the moment from which it holds no more; None: for good.
        max_budget_nano_usd: None: no budget; 0: nothing may be spent.
        suspended_at: None: not suspended.
        limit_overrides: of the limits of whatever tier holds, each unit and window once.
        budget_window_s: how long the budget is for; None: 30 days.
        consented_at: when its user agreed to what goes beyond the necessary; None: not, or taken back.
    """

    id: str
    tier: str
    tier_until: datetime | None
    max_budget_nano_usd: int | None
    suspended_at: datetime | None
    created_at: datetime
    limit_overrides: tuple[LimitOverride, ...] = ()
    budget_window_s: int | None = None
    consented_at: datetime | None = None

    @property
    def own_limits(self) -> tuple[LimitOverride, ...]:
        """Its own limits with its budget, which goes before another limit on USD in the same window."""
        if self.max_budget_nano_usd is None:
            return self.limit_overrides
        window_s = self.budget_window_s or BUDGET_WINDOW_S
        return (*self.limit_overrides, LimitOverride(Unit.USD, window_s, self.max_budget_nano_usd))

    def tier_at(self, moment: datetime) -> str:
        """The tier that holds at `moment`."""
        return self.tier if self.tier_until is None or moment < self.tier_until else FALLBACK_TIER


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret.

    Attributes:
        id: public name, `key_` and 16 hex digits.
        hint: what lists show of the secret, `scalix_…abcd`.
        models: names and patterns of public models that narrow the tier; None: all of the tier.
        expires_at: the moment from which it is refused; None: never.
        revoked_at: None: not revoked.
    """

    id: str
    account_id: str
    hint: str
    name: str | None
    models: tuple[str, ...] | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Identity:
    """A key with its account. Whether they may be used now is for the reader to judge."""

    account: Account
    key: ApiKey
