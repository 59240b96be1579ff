"""`rate_limiter`: what is left of an account's limits."""

from typing import Any

from scalix_callbacks.core.figures import figures_of
from scalix_callbacks.core.limits import counters_of
from scalix_callbacks.core.scalix_object import limit_object, usage_object
from scalix_callbacks.core.tiers import Unit
from scalix_callbacks.ledger.account_rules import check_account_id
from scalix_callbacks.plain.workplace import Workplace


class RateLimiter:
    def __init__(self, workplace: Workplace) -> None:
        self._workplace = workplace

    def check_rate_limit(self, user_id: str, tokens: int = 1) -> dict[str, Any]:
        """Whether a call of so many tokens would be admitted now. Takes nothing.

        Returns:
            `{"allowed", "user_id", "tier", "limits", "usage", "retry_after_s"}`; `limits` and `usage` as in
            `GET /v1/user`, `retry_after_s` is null where it is allowed.

        Raises:
            ValueError: no account can be called that.
            NoRedis, StoreLost: the limits cannot be asked for.
            DatabaseError: the database fails.
        """
        check_account_id(user_id)
        tier = self._workplace.tier_of(user_id)

        standings = self._workplace.in_redis(lambda limiter: limiter.standings(user_id, counters_of(tier)))
        now_s = self._workplace.now.timestamp()
        needs = {Unit.REQUESTS: 1, Unit.TOKENS: tokens, Unit.USD: 0}
        refusing = [
            standing
            for standing in standings
            if standing.counter.amount is not None
            and standing.used + standing.held + needs[standing.counter.unit] > standing.counter.amount
        ]
        figures = figures_of(standings, now_s)
        return {
            "allowed": not refusing,
            "user_id": user_id,
            "tier": tier.name,
            "limits": [limit_object(figure) for figure in figures if figure.limit is not None],
            "usage": usage_object(figures),
            "retry_after_s": max((each.resets_at_s - now_s for each in refusing), default=None),
        }
