"""Whom erased ids became, for as long as records may come in under them."""

import hashlib
import json
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, select, text, update

from scalix_callbacks.ledger.account_ids import rename_account
from scalix_callbacks.ledger.account_rules import AccountExists
from scalix_callbacks.ledger.schema import accounts, erased_accounts, usage_rejects

ERASED = ""
"""Told among changed accounts, for those of which nothing is left that could be told."""
GRACE = timedelta(seconds=60)
"""After an erasure every worker has refused the old keys by then; the id is nobody's meanwhile."""
STALE = timedelta(hours=2)
"""A worker that lost the database goes on with keys it knows for so long (`directory.STALE_S`)."""
KEPT = timedelta(days=32)
"""No record is longer on its way than the outbox lives, which is 30 days."""

_LOCK = 0x5CA11C6  # any number will do, if no other program on the server takes it


def digest_of(account_id: str) -> str:
    return hashlib.sha256(account_id.encode("utf-8", "surrogatepass")).hexdigest()


def share_lock(connection: Connection) -> None:
    """Until the transaction ends nobody begins to erase. On SQLite it is alone anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock_shared({_LOCK})"))


def own_lock(connection: Connection) -> None:
    """Waits for all that share it: what they write after this, they write knowing of the erasure."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))


def refuse_while_erasing(connection: Connection, account_id: str, now: datetime) -> None:
    """Raises AccountExists while calls of an erased id may begin: they would count for the new account."""
    pending = select(erased_accounts).where(erased_accounts.c.account_id == account_id)
    erased = connection.execute(pending).one_or_none()
    if erased is None:
        return
    if now < erased.erased_at + GRACE:
        raise AccountExists(
            f"The account {account_id} was erased a moment ago: try again in a minute, or choose another id."
        )
    while put_pseudonym(connection, account_id, erased.pseudonym):
        pass
    mark_done(connection, account_id)


def put_pseudonym(connection: Connection, account_id: str, pseudonym: str) -> int:
    """In a batch of rows; returns in how many, 0: nothing is left."""
    hide_rejects(connection, account_id, pseudonym)
    return rename_account(connection, account_id, pseudonym)


def mark_done(connection: Connection, account_id: str) -> None:
    """Forget the id itself."""
    done = update(erased_accounts).where(erased_accounts.c.account_id == account_id)
    connection.execute(done.values(account_id=None))


class Hiding:
    """Puts pseudonyms into records on their way in.

    A record is of the erased one when its call was admitted before the erasure or just after; up to `STALE`
    after it, when the id had an account and has none now.
    """

    def __init__(self, connection: Connection, account_ids: Collection[str]) -> None:
        digests = {digest_of(account_id): account_id for account_id in account_ids}
        found = select(erased_accounts).where(erased_accounts.c.digest.in_(list(digests)))
        rows = connection.execute(found).all() if digests else []
        self._erased: dict[str, Row[Any]] = {digests[row.digest]: row for row in rows}
        back = select(accounts.c.id).where(accounts.c.id.in_(list(self._erased)))
        self._back = set(connection.scalars(back)) if rows else set()

    def hide(self, rows: Iterable[dict[str, Any]]) -> None:
        """Args: rows: of `usage_records`; changed in place."""
        if not self._erased:
            return
        for row in rows:
            if (pseudonym := self._pseudonym(row["user_id"], row["at"])) is not None:
                row.update(user_id=pseudonym, client_request_id=None)

    def hide_rejects(self, connection: Connection) -> None:
        """In what could not be kept as records."""
        for account_id, erased in self._erased.items():
            if account_id not in self._back:
                hide_rejects(connection, account_id, erased.pseudonym)

    def _pseudonym(self, account_id: str, at: datetime) -> str | None:
        erased = self._erased.get(account_id)
        if erased is None:
            return None
        is_gone = erased.had_account and account_id not in self._back
        until = erased.erased_at + (STALE if is_gone else GRACE)
        return str(erased.pseudonym) if at < until else None


def hide_rejects(connection: Connection, account_id: str, pseudonym: str) -> None:
    """In what could not be kept as a record: with the pseudonym, or without text where it cannot be read."""
    named = json.dumps(account_id)
    rows = connection.execute(
        select(usage_rejects.c.sha256, usage_rejects.c.record).where(
            usage_rejects.c.record.contains(named, autoescape=True)
        )
    ).all()
    for row in rows:
        try:
            record = json.loads(row.record)
        except ValueError:
            kept = ""
        else:
            if record.get("user_id") != account_id:
                continue
            kept = json.dumps({**record, "user_id": pseudonym, "client_request_id": None}, sort_keys=True)
        changed = update(usage_rejects).where(usage_rejects.c.sha256 == row.sha256)
        connection.execute(changed.values(record=kept))
