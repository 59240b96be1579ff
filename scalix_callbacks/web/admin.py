"""`/scalix/admin/accounts`, `/keys` and `/audit`: accounts for the operator, as the command line has them."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from scalix_callbacks.core.errors import ErrorCategory, GatewayError, invalid
from scalix_callbacks.core.tiers import Tier, TierTable
from scalix_callbacks.erasing import Eraser
from scalix_callbacks.ledger import told
from scalix_callbacks.ledger.accounts import Account, Accounts
from scalix_callbacks.ledger.audit import Action, Actor, AuditLog
from scalix_callbacks.ledger.export import Export
from scalix_callbacks.ledger.identity import FALLBACK_TIER
from scalix_callbacks.web.admin_body import Fields
from scalix_callbacks.web.own_routes import (
    NO_STORE,
    ReadsBody,
    allow,
    body_of,
    segments_of,
    translated,
    work_of,
)
from scalix_callbacks.web.privacy import stream_export
from scalix_callbacks.web.query import MAX_DIGITS, limit_of, name_of, query_of, text_of, whole_of


class ResetsCounters(Protocol):
    """Gives an account fresh windows; raises StoreLost."""

    async def reset(self, account_id: str) -> int: ...


_Answer = dict[str, Any]
_Work = Callable[[str, Mapping[str, Any]], _Answer]


class AdminApi:
    """The routes, as one ASGI application; the edge lets only the operator through.

    Ids in the address are percent-encoded, for they may hold slashes.

    Args:
        changed: told after a change, so that this worker sees it at once.
        now: the clock, aware.
    """

    def __init__(
        self,
        *,
        accounts: Accounts,
        tiers: TierTable,
        audit: AuditLog,
        export: Export,
        eraser: Eraser,
        counters: ResetsCounters,
        read_body: ReadsBody,
        changed: Callable[[], None],
        now: Callable[[], datetime],
    ) -> None:
        self._accounts = accounts
        self._tiers = tiers
        self._audit = audit
        self._export = export
        self._eraser = eraser
        self._counters = counters
        self._read_body = read_body
        self._changed = changed
        self._now = now
        self._of_account: Mapping[tuple[str, str], _Work] = {
            ("GET", ""): self._show,
            ("PUT", "tier"): self._set_tier,
            ("GET", "limits"): self._show_limits,
            ("PUT", "limits"): self._set_limits,
            ("DELETE", "limits"): self._restore_limits,
            ("PUT", "budget"): self._set_budget,
            ("POST", "suspend"): self._suspend,
            ("POST", "resume"): self._resume,
            ("PUT", "consent"): self._set_consent,
            ("GET", "keys"): self._list_keys,
            ("POST", "keys"): self._create_key,
        }
        self._of_key: Mapping[tuple[str, str], _Work] = {
            ("POST", "rotate"): self._rotate,
            ("POST", "revoke"): self._revoke,
            ("PUT", "expiry"): self._expire,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        match segments_of(scope):
            case ["accounts"] if method == "GET":
                answer = await self._listed(query_of(scope))
            case ["accounts"]:
                allow(method, "GET", "POST")
                answer = await self._done(self._create, "", await body_of(self._read_body, scope, receive))
            case ["accounts", id] if method != "GET":
                allow(method, "DELETE", "GET")
                answer = await self._erase(id)
            case ["accounts", id, "export"]:
                allow(method, "GET")
                await stream_export(self._export, name_of(id, "id"), scope, receive, send)
                return
            case ["accounts", id, "limits", "reset"]:
                allow(method, "POST")
                answer = await self._reset(id)
            case ["accounts", id, *rest]:
                answer = await self._one(self._of_account, method, id, rest, scope, receive)
            case ["keys", id, *rest]:
                answer = await self._one(self._of_key, method, id, rest, scope, receive)
            case ["audit"]:
                allow(method, "GET")
                answer = await self._entries(query_of(scope))
            case ["audit", "verify"]:
                allow(method, "GET")
                answer = await self._verdict()
            case _:
                raise GatewayError(ErrorCategory.NOT_FOUND)
        await JSONResponse(answer, headers=NO_STORE)(scope, receive, send)

    async def _one(
        self,
        works: Mapping[tuple[str, str], _Work],
        method: str,
        id: str,
        rest: Sequence[str],
        scope: Scope,
        receive: Receive,
    ) -> _Answer:
        work = work_of(works, method, "/".join(rest))
        body = await body_of(self._read_body, scope, receive) if method != "GET" else None
        return await self._done(work, id, body)

    async def _done(self, work: _Work, id: str, body: Mapping[str, Any] | None) -> _Answer:
        answer: _Answer = await translated(asyncio.to_thread(work, id, body or {}))
        if body is not None:
            self._changed()
        return answer

    # Accounts

    async def _listed(self, query: Mapping[str, str]) -> _Answer:
        limit = limit_of(query)
        after = text_of(query, "after")
        found = await translated(asyncio.to_thread(self._accounts.list_accounts, limit, after))
        following = found[-1].id if len(found) == limit else None
        return {"accounts": [told.account_data(each, self._now()) for each in found], "next": following}

    def _create(self, _: str, body: Mapping[str, Any]) -> _Answer:
        fields = Fields(body, ("user_id", "tier", "until", "max_budget_usd", "budget_window"))
        tier = self._tier_named(fields.text("tier") or FALLBACK_TIER)
        until, budget = fields.moment("until", self._now()), fields.usd("max_budget_usd")
        window_s = fields.window_s("budget_window")
        return self._told(
            self._accounts.create_account(fields.text("user_id"), tier, until, budget, window_s)
        )

    def _show(self, id: str, _: Mapping[str, Any]) -> _Answer:
        account = self._accounts.get_account(id)
        overrides = [told.limit_data(each) for each in account.limit_overrides]
        keys = [told.key_data(key, self._now()) for key in self._accounts.list_keys(id)]
        return {**self._told(account), "limit_overrides": overrides, "keys": keys}

    def _set_tier(self, id: str, body: Mapping[str, Any]) -> _Answer:
        fields = Fields(body, ("tier", "until"))
        tier = fields.text("tier")
        if tier is None:
            raise invalid("tier must be named.", param="tier")
        until = fields.moment("until", self._now())
        return self._told(self._accounts.set_tier(id, self._tier_named(tier), until))

    def _set_budget(self, id: str, body: Mapping[str, Any]) -> _Answer:
        fields = Fields(body, ("max_budget_usd", "budget_window"))
        if not fields.has("max_budget_usd"):
            raise invalid("max_budget_usd must be named; null: no budget.", param="max_budget_usd")
        amount = fields.usd("max_budget_usd")
        window_s = fields.window_s("budget_window")
        if not fields.has("budget_window") and amount is not None:
            window_s = self._accounts.get_account(id).budget_window_s  # it stays as it is
        return self._told(self._accounts.set_budget(id, amount, window_s))

    def _suspend(self, id: str, body: Mapping[str, Any]) -> _Answer:
        Fields(body, ())
        return self._told(self._accounts.suspend(id))

    def _resume(self, id: str, body: Mapping[str, Any]) -> _Answer:
        Fields(body, ())
        return self._told(self._accounts.resume(id))

    def _set_consent(self, id: str, body: Mapping[str, Any]) -> _Answer:
        consents = Fields(body, ("consent",)).flag("consent")
        return told.consent_data(self._accounts.set_consent(id, consents))

    # Limits

    def _show_limits(self, id: str, _: Mapping[str, Any]) -> _Answer:
        return self._told_limits(self._accounts.get_account(id))

    def _set_limits(self, id: str, body: Mapping[str, Any]) -> _Answer:
        limits = Fields(body, ("limits",)).limits("limits")
        return self._told_limits(self._accounts.override_limits(id, limits))

    def _restore_limits(self, id: str, body: Mapping[str, Any]) -> _Answer:
        """All, or those of `{"limits": [{"unit", "window_s", "limit"}]}`, whatever their amounts."""
        fields = Fields(body, ("limits",))
        which = [(each.unit, each.window_s) for each in fields.limits("limits")] if body else None
        return self._told_limits(self._accounts.restore_limits(id, which))

    async def _reset(self, id: str) -> _Answer:
        count = await translated(self._counters.reset(id))
        # After it: the log says what was done. Should it fail now, the request does, and may be repeated.
        details = {"counters_reset": count}
        await translated(asyncio.to_thread(self._accounts.note_access, Action.LIMITS_RESET, id, details))
        return {"id": id, **details}

    # Erasure

    async def _erase(self, id: str) -> _Answer:
        erased = await translated(self._eraser.erase(id, Actor.OPERATOR))
        self._changed()
        return erased.to_json(id)

    # Keys

    def _list_keys(self, id: str, _: Mapping[str, Any]) -> _Answer:
        return {"keys": [told.key_data(key, self._now()) for key in self._accounts.list_keys(id)]}

    def _create_key(self, id: str, body: Mapping[str, Any]) -> _Answer:
        fields = Fields(body, ("name", "models", "expires"))
        name, models = fields.text("name"), fields.texts("models")
        tier = self._tier_of(self._accounts.get_account(id))
        outside = [model for model in models or () if not tier.permits(model)]
        if outside:
            raise invalid(
                f"models: tier {tier.name!r} does not have {', '.join(outside)[:300]}. Leave them out, or set"
                " another tier first.",
                param="models",
            )
        secret, key = self._accounts.create_key(id, name, models, fields.moment("expires", self._now()))
        return {"key": secret, **told.key_data(key, self._now())}

    def _rotate(self, id: str, body: Mapping[str, Any]) -> _Answer:
        secret, key = self._accounts.rotate_key(id, Fields(body, ("overlap",)).duration("overlap"))
        return {"key": secret, **told.key_data(key, self._now())}

    def _revoke(self, id: str, body: Mapping[str, Any]) -> _Answer:
        Fields(body, ())
        return told.key_data(self._accounts.revoke_key(id), self._now())

    def _expire(self, id: str, body: Mapping[str, Any]) -> _Answer:
        fields = Fields(body, ("expires",))
        if not fields.has("expires"):
            raise invalid("expires must be named; null: never.", param="expires")
        return told.key_data(
            self._accounts.expire_key(id, fields.moment("expires", self._now())), self._now()
        )

    # Audit

    async def _entries(self, query: Mapping[str, str]) -> _Answer:
        limit = limit_of(query)
        before = whole_of(query, "before", 10**MAX_DIGITS)
        user_id = text_of(query, "user_id")
        entries, following = await translated(asyncio.to_thread(self._audit.page, user_id, limit, before))
        return {"entries": entries, "next": following}

    async def _verdict(self) -> _Answer:
        verdict = await translated(asyncio.to_thread(self._audit.verify))
        return told.verdict_data(verdict)

    # What is told

    def _told(self, account: Account) -> _Answer:
        return told.account_data(account, self._now())

    def _told_limits(self, account: Account) -> _Answer:
        return told.limits_data(account, self._tier_of(account))

    def _tier_named(self, name: str) -> str:
        if name not in self._tiers:
            raise invalid(f"tier must be one of {', '.join(self._tiers.names)}.", param="tier")
        return name

    def _tier_of(self, account: Account) -> Tier:
        return self._tiers.or_lowest(account.tier_at(self._now()))
