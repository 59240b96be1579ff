"""How accounts, keys and limits are told as JSON: the same by the command line and by the API."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from scalix_callbacks.core.money import NANO
from scalix_callbacks.core.tiers import Limit, LimitOverride, Tier, Unit
from scalix_callbacks.ledger.audit import Verdict
from scalix_callbacks.ledger.identity import Account, ApiKey


def account_data(account: Account, now: datetime) -> dict[str, Any]:
    return {
        "id": account.id,
        "tier": account.tier_at(now),
        "tier_set": account.tier,
        "tier_until": told_moment(account.tier_until),
        "max_budget_usd": usd_text(account.max_budget_nano_usd),
        "budget_window_s": account.budget_window_s,
        "suspended_at": told_moment(account.suspended_at),
        "created_at": told_moment(account.created_at),
        "consented_at": told_moment(account.consented_at),
    }


def key_data(key: ApiKey, now: datetime) -> dict[str, Any]:
    return {
        "id": key.id,
        "account_id": key.account_id,
        "hint": key.hint,
        "name": key.name,
        "models": None if key.models is None else list(key.models),
        "state": key_state(key, now),
        "created_at": told_moment(key.created_at),
        "expires_at": told_moment(key.expires_at),
        "revoked_at": told_moment(key.revoked_at),
    }


def key_state(key: ApiKey, now: datetime) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= now else "open"


def limits_data(account: Account, tier: Tier) -> dict[str, Any]:
    """What limits an account that is on `tier`."""
    return {
        "id": account.id,
        "tier": tier.name,
        "limits": [limit_data(limit) for limit in tier.overridden(account.limit_overrides).limits],
        "overrides": [limit_data(override) for override in account.limit_overrides],
    }


def tier_data(tier: Tier) -> dict[str, Any]:
    return {
        "name": tier.name,
        "limits": [limit_data(limit) for limit in tier.limits],
        "models": list(tier.models),
        "upgrade_to": tier.upgrade_to,
    }


def limit_data(limit: Limit | LimitOverride) -> dict[str, Any]:
    told = {
        "unit": limit.unit.value,
        "window_s": limit.window_s,
        "limit": usd_text(limit.amount) if limit.unit is Unit.USD else limit.amount,
    }
    return told | ({"shadow": True} if limit.is_shadow else {})


def consent_data(account: Account) -> dict[str, Any]:
    return {
        "user_id": account.id,
        "consent": account.consented_at is not None,
        "consented_at": told_moment(account.consented_at),
    }


def verdict_data(verdict: Verdict) -> dict[str, Any]:
    return {
        "ok": verdict.problem is None,
        "entries": verdict.entries,
        "hash": verdict.hash,
        "broken_no": verdict.broken_no,
        "problem": verdict.problem,
    }


def changes(before: Account | None, after: Account) -> Mapping[str, Any]:
    """What the audit log keeps of a change: the old and the new of what differs."""
    new = _audited(after)
    if before is None:
        return {"new": new}
    old = _audited(before)
    differing = [name for name in new if old[name] != new[name]]
    return {"old": {name: old[name] for name in differing}, "new": {name: new[name] for name in differing}}


def _audited(account: Account) -> dict[str, Any]:
    return {
        "tier": account.tier,
        "tier_until": told_moment(account.tier_until),
        "max_budget_usd": usd_text(account.max_budget_nano_usd),
        "budget_window_s": account.budget_window_s,
        "suspended_at": told_moment(account.suspended_at),
        "consented_at": told_moment(account.consented_at),
        "limits": [limit_data(override) for override in account.limit_overrides],
    }


def usd_text(nano_usd: int | None) -> str | None:
    """Exact, with at least two decimals: `12.50`, `0.000000001`."""
    if nano_usd is None:
        return None
    whole, rest = divmod(nano_usd, NANO)
    return f"{whole}.{f'{rest:09d}'.rstrip('0').ljust(2, '0')}"


def told_moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
