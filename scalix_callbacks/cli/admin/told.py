"""How accounts, tiers, limits and keys are told, to a program and to a person."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from scalix_callbacks.cli.admin.office import Answer, Office, check_tier
from scalix_callbacks.core.tiers import Limit, LimitOverride, Unit
from scalix_callbacks.ledger.identity import Account, ApiKey
from scalix_callbacks.ledger.told import (
    account_data,
    key_data,
    key_state,
    limits_data,
    tier_data,
    told_moment,
    usd_text,
)

__all__ = [
    "account_cells",
    "account_data",
    "key_data",
    "key_table",
    "limit_text",
    "shown_once",
    "table",
    "tier_data",
    "told_account",
    "told_limits",
    "usd_text",
]


def told_account(sentence: str, account: Account, office: Office) -> Answer:
    data = account_data(account, office.now)
    lines = [f"{name}: {'-' if value is None else value}" for name, value in data.items()]
    return Answer(data, "\n".join(filter(None, (sentence, *lines))))


def told_limits(sentence: str, account: Account, office: Office) -> Answer:
    """What limits the account, each with where it comes from."""
    name = account.tier_at(office.now)
    check_tier(name, office.tiers)
    tier = office.tiers[name]
    own = {(each.unit, each.window_s, each.is_shadow): each for each in account.limit_overrides}
    of_tier = [each for each in tier.limits if (each.unit, each.window_s, each.is_shadow) not in own]
    rows = [
        *((limit_text(limit), f"tier {tier.name}") for limit in of_tier),
        *((limit_text(override), "the account") for override in own.values()),
    ]
    data = limits_data(account, tier)
    text = table(("LIMIT", "FROM"), rows, "Nothing limits this account.")
    return Answer(data, "\n\n".join(filter(None, (sentence, text))))


def shown_once(secret: str, key: ApiKey, office: Office) -> Answer:
    text = f"{secret}\n\nThis is the key {key.id} of {key.account_id}. Keep it now: it is not shown again."
    return Answer({"key": secret} | key_data(key, office.now), text)


def account_cells(account: Account, now: datetime) -> tuple[str, ...]:
    data = account_data(account, now)
    state = "open" if account.suspended_at is None else "suspended"
    return (
        account.id,
        data["tier"],
        data["tier_until"] or "-",
        data["max_budget_usd"] or "-",
        state,
        data["created_at"],
    )


def key_table(keys: Iterable[ApiKey], now: datetime) -> str:
    rows = [
        (
            key.id,
            key.hint,
            key.name or "-",
            key_state(key, now),
            "all of the tier" if key.models is None else ", ".join(key.models),
            told_moment(key.expires_at) or "-",
        )
        for key in keys
    ]
    return table(("KEY", "HINT", "NAME", "STATE", "MODELS", "EXPIRES"), rows, "There are no keys.")


def limit_text(limit: Limit | LimitOverride) -> str:
    if limit.amount is None:
        amount = "any number of"
    else:
        amount = f"{usd_text(limit.amount)}" if limit.unit is Unit.USD else f"{limit.amount:,}"
    for unit_s, unit in ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")):
        if limit.window_s % unit_s == 0:
            shadow = " (shadow)" if limit.is_shadow else ""
            return f"{amount} {limit.unit.value}/{limit.window_s // unit_s}{unit}{shadow}"
    raise AssertionError("every whole number is a multiple of 1")


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]], if_empty: str) -> str:
    if not rows:
        return if_empty
    widths = [max(len(cell) for cell in column) for column in zip(head, *rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (head, *rows)
    )
    return "\n".join(map(str.rstrip, lines))
