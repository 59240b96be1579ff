"""Erasing a person: account and keys go, records stay under a pseudonym, and the sums stay true."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, delete, exists, insert, select, update

from scalix_callbacks.ledger.account_ids import HOLDERS
from scalix_callbacks.ledger.account_rows import find_account, next_change
from scalix_callbacks.ledger.account_rules import AccountNotFound, check_account_id
from scalix_callbacks.ledger.audit import Action, Actor, hide, note
from scalix_callbacks.ledger.database import reading, writing
from scalix_callbacks.ledger.erased_rows import GRACE, KEPT, digest_of, mark_done, own_lock, put_pseudonym
from scalix_callbacks.ledger.rollouts import forget_choices
from scalix_callbacks.ledger.schema import accounts, api_keys, erased_accounts
from scalix_callbacks.ledger.sightings import forget_sightings

MAX_OPEN = 100
"""Erasures under way that are looked at in one go."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """One that has begun.

    Attributes:
        account_id: who it was.
        pseudonym: who stands in the ledger instead.
    """

    account_id: str
    pseudonym: str
    erased_at: datetime


class Erasures:
    """Every step is a transaction and may be repeated; every method may wait for the database.

    `begin` closes the account for good, and from then on records that come in under the id get the pseudonym.
    `rename` puts it into those that are there. `finish` forgets the id, once no worker takes its keys.

    Every method raises `DatabaseError` when the database fails.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        now: Callable[[], datetime],
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._engine = engine
        self._now = now
        self._random_bytes = random_bytes

    def begin(self, account_id: str, actor: Actor) -> Erasure:
        """Begin, or go on with what was interrupted.

        Raises:
            AccountError: nothing is known of anybody of this id.
        """
        check_account_id(account_id)
        with writing(self._engine) as connection:
            own_lock(connection)
            change_no = next_change(connection)
            if (under_way := _under_way(connection, account_id)) is not None:
                return under_way
            had_account = find_account(connection, account_id) is not None
            if not had_account and not _has_rows(connection, account_id):
                raise AccountNotFound(
                    f"There is no account {account_id}, and no record of it: check the spelling; or it is"
                    " erased already."
                )
            forget_choices(connection, account_id)
            # Before it is hidden: the entry is one of those that name the account.
            note(connection, actor, Action.ACCOUNT_ERASE, account_id, self._now())
            erasure = self._remember(connection, account_id, had_account, change_no)
            hide(connection, account_id, erasure.pseudonym)
            forget_sightings(connection, account_id)
            connection.execute(delete(api_keys).where(api_keys.c.account_id == account_id))
            connection.execute(delete(accounts).where(accounts.c.id == account_id))
        return erasure

    def rename(self, erasure: Erasure) -> int:
        """Put the pseudonym into all records there are, in small transactions; returns into how many rows."""
        renamed = 0
        while True:
            with writing(self._engine) as connection:
                count = put_pseudonym(connection, erasure.account_id, erasure.pseudonym)
            renamed += count
            if not count:
                return renamed

    def open(self) -> list[Erasure]:
        """Those that have begun and are not finished, the oldest first; at most `MAX_OPEN`."""
        query = (
            select(erased_accounts)
            .where(erased_accounts.c.account_id.is_not(None))
            .order_by(erased_accounts.c.erased_at)
            .limit(MAX_OPEN)
        )
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        return [Erasure(row.account_id, row.pseudonym, row.erased_at) for row in rows]

    def finish(self, erasure: Erasure) -> bool:
        """Forget the id, if it is time: when no worker can begin a call under it any more."""
        if self._now() < erasure.erased_at + GRACE:
            return False
        with writing(self._engine) as connection:
            mark_done(connection, erasure.account_id)
        return True

    def forget_expired(self) -> int:
        """Forget whom ids became of which no record can be on its way any more; returns how many."""
        over = erased_accounts.c.expires_at < self._now(), erased_accounts.c.account_id.is_(None)
        with reading(self._engine) as connection:
            if connection.execute(select(exists().where(*over))).scalar() is False:
                return 0
        with writing(self._engine) as connection:
            return connection.execute(delete(erased_accounts).where(*over)).rowcount

    def _remember(
        self, connection: Connection, account_id: str, had_account: bool, change_no: int
    ) -> Erasure:
        now, digest = self._now(), digest_of(account_id)
        known = select(erased_accounts.c.pseudonym).where(erased_accounts.c.digest == digest)
        # Who came back and goes again keeps the pseudonym while records of before may be on their way.
        before = connection.execute(known).scalar()
        pseudonym = before or f"erased_{self._random_bytes(16).hex()}"
        values = {
            "pseudonym": pseudonym,
            "account_id": account_id,
            "had_account": had_account,
            "erased_at": now,
            "expires_at": now + KEPT,
            "change_no": change_no,
        }
        if before is None:
            connection.execute(insert(erased_accounts).values(digest=digest, **values))
        else:
            same = erased_accounts.c.digest == digest
            connection.execute(update(erased_accounts).where(same).values(values))
        return Erasure(account_id, pseudonym, now)


def _under_way(connection: Connection, account_id: str) -> Erasure | None:
    query = select(erased_accounts).where(erased_accounts.c.account_id == account_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else Erasure(account_id, row.pseudonym, row.erased_at)


def _has_rows(connection: Connection, account_id: str) -> bool:
    return any(
        connection.execute(select(exists().where(holder.column == account_id))).scalar() for holder in HOLDERS
    )
