"""Accounts and keys as rows: the statements that `accounts.py` composes into transactions."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from scalix_callbacks.core.keys import hash_key, is_key_shaped
from scalix_callbacks.core.tiers import LimitOverride, Unit
from scalix_callbacks.ledger.account_rules import AccountNotFound, KeyNotFound
from scalix_callbacks.ledger.identity import Account, ApiKey, Identity
from scalix_callbacks.ledger.schema import accounts, api_keys, change_counter

ACCOUNT_COLUMNS = (
    accounts.c.id,
    accounts.c.tier,
    accounts.c.tier_until,
    accounts.c.max_budget_nano_usd,
    accounts.c.suspended_at,
    accounts.c.created_at,
    accounts.c.limit_overrides,
    accounts.c.budget_window_s,
    accounts.c.consented_at,
)
"""In the order of the fields of `Account`."""
KEY_COLUMNS = (
    api_keys.c.id,
    api_keys.c.account_id,
    api_keys.c.hint,
    api_keys.c.name,
    api_keys.c.models,
    api_keys.c.created_at,
    api_keys.c.expires_at,
    api_keys.c.revoked_at,
)

_KEY_ID = re.compile(r"key_[0-9a-f]{16}")


def next_change(connection: Connection) -> int:
    """The number of this transaction's change; every other change waits until it ends."""
    raised = update(change_counter).values(change_no=change_counter.c.change_no + 1)
    change_no: int = connection.execute(raised.returning(change_counter.c.change_no)).scalar_one()
    return change_no


def find_identity(connection: Connection, key_hash: str) -> Identity | None:
    """The key of this hash with its account, by one query."""
    query = select(*ACCOUNT_COLUMNS, *KEY_COLUMNS).join_from(api_keys, accounts)
    row = connection.execute(query.where(api_keys.c.hash == key_hash)).one_or_none()
    if row is None:
        return None
    width = len(ACCOUNT_COLUMNS)
    return Identity(account=to_account(row[:width]), key=to_key(row[width:]))


def find_account(connection: Connection, account_id: str) -> Account | None:
    row = connection.execute(select(*ACCOUNT_COLUMNS).where(accounts.c.id == account_id)).one_or_none()
    return None if row is None else to_account(row)


def existing_account(connection: Connection, account_id: str) -> Account:
    """Raises AccountNotFound."""
    account = find_account(connection, account_id)
    if account is None:
        raise AccountNotFound(f"There is no account {account_id}: check the spelling, or create it.")
    return account


def add_account(connection: Connection, account: Account, change_no: int) -> None:
    row = asdict(account) | {"limit_overrides": to_json(account.limit_overrides), "change_no": change_no}
    connection.execute(insert(accounts).values(row))


def update_account(
    connection: Connection, account_id: str, change_no: int, values: Mapping[str, Any]
) -> Account:
    changed = update(accounts).where(accounts.c.id == account_id).values(**values, change_no=change_no)
    return to_account(connection.execute(changed.returning(*ACCOUNT_COLUMNS)).one())


def existing_key(connection: Connection, key_id: str) -> ApiKey:
    """Raises KeyNotFound, which never repeats what may be a secret."""
    if is_key_shaped(key_id):
        raise KeyNotFound("This is shaped like a key's secret: use the key's id, which begins with key_.")
    if not _KEY_ID.fullmatch(key_id):
        raise KeyNotFound("A key's id is key_ and 16 hex digits: list the account's keys to find it.")
    row = connection.execute(select(*KEY_COLUMNS).where(api_keys.c.id == key_id)).one_or_none()
    if row is None:
        raise KeyNotFound(f"There is no key {key_id}: list the account's keys to find its id.")
    return to_key(row)


def add_key(connection: Connection, secret: str, key: ApiKey, change_no: int) -> None:
    row = asdict(key) | {"hash": hash_key(secret), "change_no": change_no}
    connection.execute(insert(api_keys).values(row))


def revoke(connection: Connection, key_id: str, moment: datetime, change_no: int) -> None:
    """Close the key if it is open."""
    open_key = update(api_keys).where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
    connection.execute(open_key.values(revoked_at=moment, change_no=change_no))


def update_key(connection: Connection, key_id: str, change_no: int, expires_at: datetime | None) -> None:
    changed = update(api_keys).where(api_keys.c.id == key_id)
    connection.execute(changed.values(expires_at=expires_at, change_no=change_no))


def to_account(row: Sequence[Any]) -> Account:
    account = Account(*row)
    stored: Any = account.limit_overrides  # as the column has them
    return replace(account, limit_overrides=tuple(map(_to_override, stored or ())))


def to_json(overrides: Sequence[LimitOverride]) -> list[dict[str, Any]] | None:
    """What the column `limit_overrides` holds."""
    return [
        {"unit": each.unit, "window_s": each.window_s, "amount": each.amount}
        | ({"shadow": True} if each.is_shadow else {})
        for each in overrides
    ] or None


def _to_override(stored: Mapping[str, Any]) -> LimitOverride:
    return LimitOverride(
        Unit(stored["unit"]), stored["window_s"], stored["amount"], stored.get("shadow", False)
    )


def to_key(row: Sequence[Any]) -> ApiKey:
    key = ApiKey(*row)
    return key if key.models is None else replace(key, models=tuple(key.models))
