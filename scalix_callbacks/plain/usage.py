"""`usage_tracker`: what accounts used."""

from collections.abc import Mapping
from typing import Any

from scalix_callbacks.core.usage_sums import Sums, sums_object
from scalix_callbacks.ledger.account_rules import check_account_id
from scalix_callbacks.ledger.usage_sums import Span
from scalix_callbacks.plain.calls import call_record, usage_of
from scalix_callbacks.plain.workplace import Workplace


class UsageTracker:
    """Every method raises `DatabaseError` when the database fails."""

    def __init__(self, workplace: Workplace) -> None:
        self._workplace = workplace

    def track_usage(
        self, user_id: str, model: str, usage: object, metadata: Mapping[str, Any] | None = None
    ) -> str:
        """Keeps the record of a call made elsewhere, and counts it against the account's limits.

        Args:
            usage: as OpenAI's `usage`.
            metadata: see `call_record`.

        Returns:
            The id of its record.

        Raises:
            ValueError: an argument cannot be what it should be.
        """
        check_account_id(user_id)
        used = usage_of(usage)
        at, tier = self._workplace.now, self._workplace.tier_of(user_id).name
        record = call_record(user_id, model, metadata, at=at, tier=tier, usage=used)
        self._workplace.keep(record)
        return record.call_id

    def get_user_usage(self, user_id: str) -> dict[str, Any]:
        """What the ledger has of the account: of today and of this month (UTC); `cost_…` null: not known."""
        check_account_id(user_id)
        today = self._workplace.now.date()
        day = self._workplace.sums.total(Span(today, today, user_id=user_id))
        month = self._workplace.sums.total(Span(today.replace(day=1), today, user_id=user_id))
        return {
            "user_id": user_id,
            "tier": self._workplace.tier_of(user_id).name,
            **_told(day, "today"),
            **_told(month, "this_month"),
        }


def _told(sums: Sums, when: str) -> dict[str, Any]:
    return {
        f"requests_{when}": sums.requests,
        f"tokens_{when}": sums.total_tokens,
        f"errors_{when}": sums.error,
        f"cost_{when}": sums_object(sums, with_provider=False)["price_usd"],
    }
