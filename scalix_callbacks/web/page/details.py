"""`/scalix/page/user` and `/scalix/page/call`: one account and one request."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

from scalix_callbacks.core.errors import ErrorCategory, GatewayError
from scalix_callbacks.core.figures import figures_of
from scalix_callbacks.core.limits import Standing, counters_of
from scalix_callbacks.core.scalix_object import limit_object
from scalix_callbacks.core.tiers import TierTable
from scalix_callbacks.core.usage_sums import row_object, sums_object
from scalix_callbacks.ledger import told
from scalix_callbacks.ledger.errors import DatabaseError
from scalix_callbacks.ledger.identity import FALLBACK_TIER, Account, ApiKey
from scalix_callbacks.ledger.usage_sums import Group, Span
from scalix_callbacks.store.errors import StoreLost
from scalix_callbacks.web.own_routes import unavailable
from scalix_callbacks.web.page.overview import ReadsSums
from scalix_callbacks.web.traces import FindsTraces
from scalix_callbacks.web.user import ReadsStandings

CALLS = 50
KEYS = 50
ATTEMPTS = 20
GROUPS = 20


class ReadsAccounts(Protocol):
    """`Accounts`. Raises DatabaseError."""

    def find_account(self, account_id: str) -> Account | None: ...

    def list_keys(self, account_id: str) -> list[ApiKey]: ...


class ReadsRecords(Protocol):
    """`UsageRecords`. Raises DatabaseError."""

    def latest(
        self, user_id: str | None = None, request_id: str | None = None, *, limit: int
    ) -> list[dict[str, Any]]: ...


def _limits(standings: Sequence[Standing], now_s: float) -> list[dict[str, Any]]:
    """Those that hold, and behind them those in shadow, which only the operator is told."""
    shadows = [
        Standing(replace(each.counter, amount=each.counter.shadow), each.started_at_s, each.used, each.held)
        for each in standings
        if each.counter.shadow is not None
    ]
    return [limit_object(each) for each in figures_of(standings, now_s) if each.limit is not None] + [
        limit_object(each) | {"shadow": True} for each in figures_of(shadows, now_s)
    ]


class Details:
    """Args: in_thread: as of `Sources`; traces: None: none are kept."""

    def __init__(
        self,
        accounts: ReadsAccounts,
        records: ReadsRecords,
        sums: ReadsSums,
        store: ReadsStandings,
        tiers: TierTable,
        *,
        now: Callable[[], datetime],
        in_thread: Callable[..., Awaitable[Any]],
        traces: FindsTraces | None,
    ) -> None:
        self._traces = traces
        self._accounts = accounts
        self._records = records
        self._sums = sums
        self._store = store
        self._tiers = tiers
        self._now = now
        self._in_thread = in_thread

    async def user(self, account_id: str) -> dict[str, Any]:
        """Raises GatewayError: NOT_FOUND, or SERVICE_UNAVAILABLE while the database is away."""
        account, body = await self._read(self._of_user, account_id)
        tier = self._tiers.or_lowest(body["tier"])
        if account is not None:
            tier = tier.overridden(account.own_limits)
        try:
            standings, now_s = await self._store.standings(account_id, counters_of(tier))
        except StoreLost:
            return {**body, "limits": None}
        return {**body, "limits": _limits(standings, now_s)}

    async def call(self, id: str) -> dict[str, Any]:
        """Records and traces under an id, oldest first: of a request, a call, or one that a client chose.

        `calls` or `traces` None: the database, or Redis, where they are, does not answer.

        Raises:
            GatewayError: NOT_FOUND, or SERVICE_UNAVAILABLE while both are away.
        """
        traces: list[dict[str, Any]] | None = []
        if self._traces is not None:
            try:
                traces = await self._traces.find(id)
            except StoreLost:
                traces = None
        # The ledger does not find by an id that a client chose; its requests are those of the traces.
        ids = list(dict.fromkeys((id, *(str(each["request_id"]) for each in traces or ()))))
        calls: list[dict[str, Any]] | None
        try:
            calls = await self._in_thread(self._of_requests, ids)
        except DatabaseError:
            calls = None
        if calls is None and not traces:
            raise unavailable("This cannot be told right now: the database does not answer.")
        if not calls and not traces:
            raise GatewayError(
                ErrorCategory.NOT_FOUND,
                "No call has this id in the ledger, and no trace of it is kept. Both take a few seconds;"
                " traces are kept for a day at most, and only by them is an id found that a client chose.",
            )
        return {"request_id": id, "calls": calls, "traces": traces}

    def _of_requests(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        found = [call for id in ids for call in self._records.latest(request_id=id, limit=ATTEMPTS)]
        by_id = {call["call_id"]: call for call in found}
        return sorted(by_id.values(), key=lambda call: (call["at"], call["call_id"]))[-ATTEMPTS:]

    def _of_user(self, account_id: str) -> tuple[Account | None, dict[str, Any]]:
        account = self._accounts.find_account(account_id)
        calls = self._records.latest(account_id, limit=CALLS)
        if account is None and not calls:
            raise GatewayError(
                ErrorCategory.NOT_FOUND,
                "There is no such account, and no call in its name. Check the spelling.",
            )
        now = self._now()
        span = Span(now.date(), now.date(), user_id=account_id)
        keys = [] if account is None else self._accounts.list_keys(account_id)[:KEYS]
        models, categories = (
            [row_object(row.group, row.sums, with_provider=True) for row in self._sums.most(span, by, GROUPS)]
            for by in (Group.MODEL, Group.CATEGORY)
        )
        return account, {
            "user_id": account_id,
            "tier": (calls[0]["tier"] or FALLBACK_TIER) if account is None else account.tier_at(now),
            "account": None if account is None else told.account_data(account, now),
            "keys": [told.key_data(key, now) for key in keys],
            "today": sums_object(self._sums.total(span), with_provider=True),
            "models": models,
            "categories": [row for row in categories if row["category"]],
            "calls": calls,
        }

    async def _read(self, read: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return await self._in_thread(read, *arguments)
        except DatabaseError:
            raise unavailable("This cannot be told right now: the database does not answer.") from None
