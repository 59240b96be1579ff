"""Accounts and their keys: looked up by whoever authenticates, changed by the operator."""

import copy
import secrets
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, func, literal, select, union_all

from scalix_callbacks.core.keys import MIN_RANDOM_BYTES, key_hint, new_key
from scalix_callbacks.core.tiers import LimitOverride, Unit
from scalix_callbacks.ledger.account_rows import (
    ACCOUNT_COLUMNS,
    KEY_COLUMNS,
    add_account,
    add_key,
    existing_account,
    existing_key,
    find_account,
    find_identity,
    next_change,
    revoke,
    to_account,
    to_json,
    to_key,
    update_account,
    update_key,
)
from scalix_callbacks.ledger.account_rules import (
    AccountError,
    AccountExists,
    AccountNotFound,
    InvalidAccountId,
    InvalidValue,
    KeyNotFound,
    check_account_id,
    check_budget,
    check_budget_window,
    check_future,
    check_models,
    check_name,
    check_overlap,
    check_overrides,
    check_tier,
)
from scalix_callbacks.ledger.audit import Action, Actor, note
from scalix_callbacks.ledger.database import reading, writing
from scalix_callbacks.ledger.erased_rows import ERASED, refuse_while_erasing
from scalix_callbacks.ledger.identity import Account, ApiKey, Identity
from scalix_callbacks.ledger.schema import UtcDateTime, accounts, api_keys, change_counter, erased_accounts
from scalix_callbacks.ledger.told import changes, told_moment

__all__ = [
    "Account",
    "AccountError",
    "AccountExists",
    "AccountNotFound",
    "Accounts",
    "ApiKey",
    "Identity",
    "InvalidAccountId",
    "InvalidValue",
    "KeyNotFound",
]

MAX_PAGE = 1_000
MAX_KEYS_LISTED = 1_000
Window = tuple[Unit, int]
"""What a limit counts, and in how many seconds."""


def utc_now() -> datetime:
    return datetime.now(UTC)


class Accounts:
    """The accounts of one database. Any number of threads may share it; every call may wait for the database.

    Each change is one transaction: it raises the change number first, whose row lock orders all changes, and
    stamps the rows it touches with it. So whoever has read a change number has, or can ask for, all up to it.

    Every method raises `DatabaseError` when the database fails, and `AccountError` when what is asked is not
    possible; see `database.writing` for what is left of a failed change: as a rule, nothing. The same
    transaction puts it into the audit log.

    Args:
        now: the clock, aware.
        random_bytes: where secrets and ids come from; given a number of bytes.
        actor: who makes the changes, for the audit log.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        now: Callable[[], datetime] = utc_now,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
        actor: Actor = Actor.OPERATOR,
    ) -> None:
        self._engine = engine
        self._now = now
        self._random_bytes = random_bytes
        self._actor = actor

    def acting_as(self, actor: Actor) -> "Accounts":
        """The same accounts, changed in another name."""
        other = copy.copy(self)
        other._actor = actor
        return other

    # Who is calling

    def find_key(self, key_hash: str) -> Identity | None:
        """The key of this SHA-256 with its account, also when it is revoked, expired or suspended."""
        with reading(self._engine) as connection:
            return find_identity(connection, key_hash)

    def find_account(self, account_id: str) -> Account | None:
        """The account of this id; None also for what can be no id."""
        try:
            check_account_id(account_id)
        except InvalidAccountId:  # PostgreSQL would refuse some, such as NUL, with an error
            return None
        with reading(self._engine) as connection:
            return find_account(connection, account_id)

    def get_account(self, account_id: str) -> Account:
        """The account of this id; raises AccountError when there is none."""
        check_account_id(account_id)
        with reading(self._engine) as connection:
            return existing_account(connection, account_id)

    # What has changed

    def change_no(self) -> int:
        """The number of the last change; 0 before the first."""
        with reading(self._engine) as connection:
            change_no: int = connection.execute(select(change_counter.c.change_no)).scalar_one()
        return change_no

    def changed_accounts_since(self, change_no: int, limit: int) -> list[str]:
        """Ids of accounts changed, or with a key changed, after `change_no`, longest ago first.

        As many as `limit` mean that there may be more; `ERASED` among them, that some are gone altogether.
        """
        changes = union_all(
            select(accounts.c.id, accounts.c.change_no).where(accounts.c.change_no > change_no),
            select(api_keys.c.account_id, api_keys.c.change_no).where(api_keys.c.change_no > change_no),
            select(literal(ERASED), erased_accounts.c.change_no).where(
                erased_accounts.c.change_no > change_no
            ),
        ).subquery()
        query = (
            select(changes.c.id).group_by(changes.c.id).order_by(func.min(changes.c.change_no)).limit(limit)
        )
        with reading(self._engine) as connection:
            return list(connection.execute(query).scalars())

    # Accounts

    def create_account(
        self,
        account_id: str | None,
        tier: str,
        until: datetime | None = None,
        max_budget_nano_usd: int | None = None,
        budget_window_s: int | None = None,
    ) -> Account:
        """A new account; without an id it gets a pseudonymous one, `user_` and 32 hex digits."""
        account = self._new_account(account_id, tier, until, max_budget_nano_usd, budget_window_s)
        with writing(self._engine) as connection:
            change_no = next_change(connection)
            if find_account(connection, account.id) is not None:
                raise AccountExists(f"The account {account.id} exists already: use it, or choose another id.")
            self._add(connection, account, change_no)
        return account

    def set_tier(self, account_id: str, tier: str, until: datetime | None = None) -> Account:
        """Put the account on `tier`, until the moment given or for good."""
        check_tier(tier)
        check_future(until, self._now(), "The end of the tier")
        return self._change_account(account_id, Action.ACCOUNT_TIER, tier=tier, tier_until=until)

    def set_budget(
        self, account_id: str, max_budget_nano_usd: int | None, window_s: int | None = None
    ) -> Account:
        """Let the account spend this much, None: any amount, in a window of so long, None: 30 days."""
        check_budget(max_budget_nano_usd)
        check_budget_window(window_s)
        return self._change_account(
            account_id,
            Action.ACCOUNT_BUDGET,
            max_budget_nano_usd=max_budget_nano_usd,
            budget_window_s=window_s,
        )

    def override_limits(self, account_id: str, overrides: Sequence[LimitOverride]) -> Account:
        """Give the account these limits of its own, beside those it has; of one unit and window the new."""
        check_overrides(overrides)
        return self._change_overrides(account_id, {_place(each) for each in overrides}, overrides)

    def restore_limits(self, account_id: str, which: Collection[Window] | None = None) -> Account:
        """Let the tier's limits hold again: those of `which` units and windows, in shadow or not, or all."""
        places = (
            None if which is None else {(*each, is_shadow) for each in which for is_shadow in (False, True)}
        )
        return self._change_overrides(account_id, places, ())

    def suspend(self, account_id: str) -> Account:
        """Close the account, with all its keys, until `resume`. Suspended twice: the first moment stays."""
        moment = literal(self._now(), UtcDateTime)
        first = func.coalesce(accounts.c.suspended_at, moment)
        return self._change_account(account_id, Action.ACCOUNT_SUSPEND, suspended_at=first)

    def resume(self, account_id: str) -> Account:
        """End a suspension, if there is one."""
        return self._change_account(account_id, Action.ACCOUNT_RESUME, suspended_at=None)

    def set_consent(self, account_id: str, consents: bool) -> Account:
        """Keep that its user agrees to what goes beyond the necessary, or does not any more.

        Agreed twice: the first moment stays.
        """
        moment = literal(self._now(), UtcDateTime)
        since = func.coalesce(accounts.c.consented_at, moment) if consents else None
        return self._change_account(account_id, Action.ACCOUNT_CONSENT, consented_at=since)

    def list_accounts(self, limit: int = 100, after: str | None = None) -> list[Account]:
        """Up to `limit` (1 to 1,000) accounts by id; the next page begins `after` the last one's."""
        if not 1 <= limit <= MAX_PAGE:
            raise InvalidValue(f"A page has 1 to {MAX_PAGE} accounts: choose a limit between them.")
        query = select(*ACCOUNT_COLUMNS).order_by(accounts.c.id).limit(limit)
        if after is not None:
            check_account_id(after)
            query = query.where(accounts.c.id > after)
        with reading(self._engine) as connection:
            return [to_account(row) for row in connection.execute(query)]

    # Keys

    def create_key(
        self,
        account_id: str,
        name: str | None = None,
        models: Sequence[str] | None = None,
        expires_at: datetime | None = None,
    ) -> tuple[str, ApiKey]:
        """A new key: its secret, which is not kept and cannot be shown again, and what is kept.

        `models` None: all of the tier. An empty list is refused, for it would permit nothing.
        """
        check_account_id(account_id)
        secret, key = self._new_key(account_id, name, models, expires_at)
        with writing(self._engine) as connection:
            change_no = next_change(connection)
            existing_account(connection, account_id)
            self._add_key(connection, secret, key, change_no)
        return secret, key

    def issue_key(
        self,
        account_id: str | None,
        tier: str | None,
        default_tier: str,
        *,
        tier_until: datetime | None = None,
        max_budget_nano_usd: int | None = None,
        budget_window_s: int | None = None,
        name: str | None = None,
        models: Sequence[str] | None = None,
        expires_at: datetime | None = None,
    ) -> tuple[str, ApiKey, Account]:
        """A new key for an account that need not exist yet, all in one transaction.

        Args:
            account_id: None: a new pseudonymous one.
            tier: an existing account that is on another one now changes to it; None: it keeps its own.
            default_tier: of a new account, where `tier` is None.
            tier_until: the end of `tier`, without which it is refused; None: an account that is on `tier`
                keeps the end it has.
            max_budget_nano_usd: None: an existing account keeps its own.
            budget_window_s: how long that budget is for; None: 30 days, or as long as the account's is now.
        """
        if tier is None and tier_until is not None:
            raise InvalidValue("The end of a tier needs the tier: name it too.")
        account = self._new_account(
            account_id,
            default_tier if tier is None else tier,
            tier_until,
            max_budget_nano_usd,
            budget_window_s,
        )
        secret, key = self._new_key(account.id, name, models, expires_at)
        with writing(self._engine) as connection:
            change_no = next_change(connection)
            known = find_account(connection, account.id)
            if known is None:
                self._add(connection, account, change_no)
            else:
                values: dict[str, Any] = {}
                if tier is not None and (tier_until is not None or known.tier_at(self._now()) != tier):
                    values |= {"tier": tier, "tier_until": tier_until}
                if max_budget_nano_usd is not None:
                    values |= {"max_budget_nano_usd": max_budget_nano_usd}
                if budget_window_s is not None:
                    values |= {"budget_window_s": budget_window_s}
                account = update_account(connection, account.id, change_no, values)
                if values:
                    action = Action.ACCOUNT_TIER if "tier" in values else Action.ACCOUNT_BUDGET
                    self._note(connection, action, account.id, changes(known, account))
            self._add_key(connection, secret, key, change_no)
        return secret, key, account

    def list_keys(self, account_id: str) -> list[ApiKey]:
        """The account's keys, the newest first, revoked and expired ones too; at most 1,000."""
        check_account_id(account_id)
        query = (
            select(*KEY_COLUMNS)
            .where(api_keys.c.account_id == account_id)
            .order_by(api_keys.c.created_at.desc(), api_keys.c.id)
            .limit(MAX_KEYS_LISTED)
        )
        with reading(self._engine) as connection:
            existing_account(connection, account_id)
            return [to_key(row) for row in connection.execute(query)]

    def rotate_key(self, key_id: str, overlap: timedelta | None = None) -> tuple[str, ApiKey]:
        """Make another key with this one's account, name, models and expiry, and close it; one transaction.

        Args:
            overlap: for how long the old key goes on, at most until its own expiry; None: not at all.
        """
        check_overlap(overlap)
        with writing(self._engine) as connection:
            change_no = next_change(connection)
            old = self._open_key(connection, key_id)
            secret, key = self._new_key(old.account_id, old.name, old.models, old.expires_at)
            if overlap is None:
                revoke(connection, key_id, self._now(), change_no)
                ends_at = self._now()
            else:
                ends_at = min(self._now() + overlap, old.expires_at or datetime.max.replace(tzinfo=UTC))
                update_key(connection, key_id, change_no, ends_at)
            add_key(connection, secret, key, change_no)
            told = {"key_id": key_id, "new_key_id": key.id, "old_ends_at": told_moment(_in_utc(ends_at))}
            self._note(connection, Action.KEY_ROTATE, old.account_id, told)
        return secret, key

    def expire_key(self, key_id: str, expires_at: datetime | None) -> ApiKey:
        """Let a key end at this moment; None: never."""
        check_future(expires_at, self._now(), "The key's expiry")
        with writing(self._engine) as connection:
            change_no = next_change(connection)
            old = self._open_key(connection, key_id)
            update_key(connection, key_id, change_no, expires_at)
            key = existing_key(connection, key_id)
            ends = {"old": told_moment(old.expires_at), "new": told_moment(key.expires_at)}
            self._note(connection, Action.KEY_EXPIRE, key.account_id, {"key_id": key_id, "expires_at": ends})
        return key

    def revoke_key(self, key_id: str) -> ApiKey:
        """Close a key for good. Revoked twice: the first moment stays."""
        with writing(self._engine) as connection:
            change_no = next_change(connection)
            old = existing_key(connection, key_id)
            revoke(connection, key_id, self._now(), change_no)
            self._note(connection, Action.KEY_REVOKE, old.account_id, {"key_id": key_id})
            return existing_key(connection, key_id)

    def note_access(self, action: Action, account_id: str, details: Mapping[str, Any]) -> None:
        """Keep in the audit log what was done for this account elsewhere than in this database."""
        check_account_id(account_id)
        with writing(self._engine) as connection:
            self._note(connection, action, account_id, details)

    # What is made before a transaction, and changed in one

    def _new_account(
        self,
        account_id: str | None,
        tier: str,
        until: datetime | None,
        max_budget_nano_usd: int | None,
        budget_window_s: int | None,
    ) -> Account:
        now = self._now()
        if account_id is None:
            account_id = f"user_{uuid.UUID(bytes=self._random_bytes(16), version=4).hex}"
        check_account_id(account_id)
        check_tier(tier)
        check_future(until, now, "The end of the tier")
        check_budget(max_budget_nano_usd)
        check_budget_window(budget_window_s)
        return Account(
            account_id,
            tier,
            _in_utc(until),
            max_budget_nano_usd,
            None,
            now.astimezone(UTC),
            budget_window_s=budget_window_s,
        )

    def _new_key(
        self, account_id: str, name: str | None, models: Sequence[str] | None, expires_at: datetime | None
    ) -> tuple[str, ApiKey]:
        now = self._now()
        check_name(name)
        check_models(models)
        check_future(expires_at, now, "The key's expiry")
        secret = new_key(self._random_bytes(MIN_RANDOM_BYTES))
        return secret, ApiKey(
            id=f"key_{self._random_bytes(8).hex()}",
            account_id=account_id,
            hint=key_hint(secret),
            name=name,
            models=None if models is None else tuple(models),
            created_at=now.astimezone(UTC),
            expires_at=_in_utc(expires_at),
            revoked_at=None,
        )

    def _change_overrides(
        self,
        account_id: str,
        dropped: Collection[tuple[Unit, int, bool]] | None,
        added: Sequence[LimitOverride],
    ) -> Account:
        """`dropped` None: all."""
        check_account_id(account_id)
        with writing(self._engine) as connection:
            change_no = next_change(connection)  # first, so that no other change comes between
            before = existing_account(connection, account_id)
            known = before.limit_overrides
            kept = [] if dropped is None else [each for each in known if _place(each) not in dropped]
            overrides = (*kept, *added)
            check_overrides(overrides)
            values = {"limit_overrides": to_json(overrides)}
            return self._update(connection, before, change_no, Action.ACCOUNT_LIMITS, values)

    def _change_account(self, account_id: str, action: Action, **values: Any) -> Account:
        check_account_id(account_id)
        with writing(self._engine) as connection:
            change_no = next_change(connection)
            before = existing_account(connection, account_id)
            return self._update(connection, before, change_no, action, values)

    def _update(
        self,
        connection: Connection,
        before: Account,
        change_no: int,
        action: Action,
        values: Mapping[str, Any],
    ) -> Account:
        account = update_account(connection, before.id, change_no, values)
        self._note(connection, action, before.id, changes(before, account))
        return account

    def _add(self, connection: Connection, account: Account, change_no: int) -> None:
        refuse_while_erasing(connection, account.id, self._now())
        add_account(connection, account, change_no)
        self._note(connection, Action.ACCOUNT_CREATE, account.id, changes(None, account))

    def _add_key(self, connection: Connection, secret: str, key: ApiKey, change_no: int) -> None:
        add_key(connection, secret, key, change_no)
        told = {"key_id": key.id, "models": key.models, "expires_at": told_moment(key.expires_at)}
        self._note(connection, Action.KEY_CREATE, key.account_id, told)

    def _open_key(self, connection: Connection, key_id: str) -> ApiKey:
        key = existing_key(connection, key_id)
        if key.revoked_at is not None:
            raise InvalidValue(f"The key {key_id} is revoked already: create a new key for its account.")
        return key

    def _note(
        self, connection: Connection, action: Action, account_id: str, details: Mapping[str, Any]
    ) -> None:
        note(connection, self._actor, action, account_id, self._now(), details)


def _place(override: LimitOverride) -> tuple[Unit, int, bool]:
    return override.unit, override.window_s, override.is_shadow


def _in_utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)
