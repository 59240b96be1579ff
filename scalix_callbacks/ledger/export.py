"""All that is kept about one account, as JSON, in pieces: it may be more than fits into memory."""

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, select

from scalix_callbacks.core.moments import iso
from scalix_callbacks.core.usage_sums import row_object
from scalix_callbacks.ledger.account_rules import AccountNotFound
from scalix_callbacks.ledger.accounts import Accounts
from scalix_callbacks.ledger.audit import AuditLog
from scalix_callbacks.ledger.database import reading
from scalix_callbacks.ledger.rollouts import choices_of
from scalix_callbacks.ledger.schema import usage_rejects
from scalix_callbacks.ledger.sightings import Sightings
from scalix_callbacks.ledger.told import account_data, key_data, limit_data
from scalix_callbacks.ledger.usage_records import UsageRecords
from scalix_callbacks.ledger.usage_sums import Group, Row, Span, UsageSums

PAGE = 500
MAX_REJECTS = 1_000
_GROUPS = (Group.DAY, Group.TIER, Group.MODEL, Group.OUTCOME, Group.CATEGORY)


class Export:
    """What one database keeps about single accounts.

    Args:
        now: the clock, aware.
    """

    def __init__(self, engine: Engine, *, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._now = now
        self._accounts = Accounts(engine, now=now)
        self._records = UsageRecords(engine)
        self._sums = UsageSums(engine)
        self._audit = AuditLog(engine)
        self._sightings = Sightings(engine, now=now)

    def pieces(self, account_id: str) -> Iterator[str]:
        """The pieces of one JSON object; each may wait for the database.

        What comes in while it is read is in it or not.

        Raises:
            AccountNotFound: with the first piece: nothing is kept about anybody of this id.
            DatabaseError: with any piece.
        """
        account = self._accounts.find_account(account_id)
        keys = [] if account is None else self._accounts.list_keys(account_id)
        first, following = self._records.page(account_id, None, None, PAGE, None)
        sums, next_sums = self._sums.page(Span(user_id=account_id), _GROUPS, PAGE)
        if account is None and not first and not sums:
            raise AccountNotFound(
                f"There is no account {account_id} and no record of it: check the spelling."
            )
        now = self._now()
        head = {
            "user_id": account_id,
            "exported_at": iso(now),
            "account": None if account is None else account_data(account, now),
            "consent": account is not None and account.consented_at is not None,
            "limit_overrides": [] if account is None else [*map(limit_data, account.limit_overrides)],
            "keys": [key_data(key, now) for key in keys],
            **self._sightings.of_account(account_id),
            "rollouts": self._rollouts(account_id),
        }
        yield json.dumps(head)[:-1]
        yield ', "usage_records": ['
        yield ",\n".join(map(json.dumps, first))
        while following is not None:
            page, following = self._records.page(account_id, None, None, PAGE, following)
            yield ",\n" + ",\n".join(map(json.dumps, page)) if page else ""
        yield '], "usage_daily": ['
        yield ",\n".join(map(_told_sums, sums))
        while next_sums is not None:
            sums, next_sums = self._sums.page(Span(user_id=account_id), _GROUPS, PAGE, next_sums)
            yield ",\n" + ",\n".join(map(_told_sums, sums)) if sums else ""
        yield f'], "rejected_records": {json.dumps(self._rejects(account_id))}, "audit": ['
        entries, before = self._audit.page(account_id, PAGE)
        yield ",\n".join(map(json.dumps, entries))
        while before is not None:
            entries, before = self._audit.page(account_id, PAGE, before)
            yield ",\n" + ",\n".join(map(json.dumps, entries)) if entries else ""
        yield "]}\n"

    def _rollouts(self, account_id: str) -> list[dict[str, Any]]:
        with reading(self._engine) as connection:
            return choices_of(connection, account_id)

    def _rejects(self, account_id: str) -> list[Any]:
        named = usage_rejects.c.record.contains(json.dumps(account_id), autoescape=True)
        with reading(self._engine) as connection:
            texts = connection.scalars(select(usage_rejects.c.record).where(named).limit(MAX_REJECTS)).all()
        records = [_parsed(text) for text in texts]
        return [record for record in records if record.get("user_id") == account_id]


def _told_sums(row: Row) -> str:
    return json.dumps(row_object(row.group, row.sums, with_provider=False))


def _parsed(text: str) -> dict[str, Any]:
    try:
        record = json.loads(text)
    except ValueError:  # it was cut
        return {}
    return record if isinstance(record, dict) else {}
