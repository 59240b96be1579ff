"""Cleans up records that are older than they are to be kept; what they added up to stays."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, delete, exists, func, select, text

from scalix_callbacks.core.moments import iso
from scalix_callbacks.core.money import usd_text
from scalix_callbacks.ledger.audit import Action, Actor, note
from scalix_callbacks.ledger.database import reading, writing
from scalix_callbacks.ledger.schema import usage_records, usage_rejects

BATCH = 1_000
_LOCK = 0x5CA11C7  # any number will do, if no other program on the server takes it
_SUMS = ("prompt_tokens", "completion_tokens", "requests_counted")
_AMOUNTS = ("provider_cost_nano_usd", "price_nano_usd")


class Retention:
    """Removes records of one database once they are `days` old.

    Each batch is one transaction together with an entry of the audit log, which holds the sums of what went.
    Sums by account and day lie in tables of their own, which this does not touch.

    Args:
        days: None: records are kept for good.
        now: the clock, aware.
    """

    def __init__(self, engine: Engine, days: int | None, *, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._days = days
        self._now = now

    def clean(self, limit: int = BATCH) -> int:
        """Remove up to `limit` of the oldest records that are too old, and of those that could not be kept.

        Returns how many of the one or the other, whichever is more.

        0: there are none, or another worker is at it.

        Raises:
            DatabaseError: the database fails; nothing was removed.
        """
        if self._days is None:
            return 0
        before = self._now() - timedelta(days=self._days)
        is_old = usage_records.c.at < before
        is_old_reject = usage_rejects.c.at < before
        is_there = select(exists().where(is_old) | exists().where(is_old_reject))
        with reading(self._engine) as connection:
            if not connection.execute(is_there).scalar():
                return 0
        with writing(self._engine) as connection:
            if not _is_alone(connection):
                return 0
            oldest = select(usage_records.c.call_id).where(is_old).order_by(usage_records.c.at).limit(limit)
            ids = list(connection.scalars(oldest))
            chosen = usage_records.c.call_id.in_(ids)
            rejects = select(usage_rejects.c.sha256).where(is_old_reject).limit(limit)
            details: dict[str, Any] = {"before": iso(before), "records": len(ids)}
            if ids:
                details |= _sums(connection, chosen)
                connection.execute(delete(usage_records).where(chosen))
            rejected = delete(usage_rejects).where(usage_rejects.c.sha256.in_(rejects))
            if count := connection.execute(rejected).rowcount:
                details["rejects"] = count
            if ids or count:
                note(connection, Actor.SYSTEM, Action.RETENTION_CLEAN, None, self._now(), details)
            return max(len(ids), count)


def _is_alone(connection: Connection) -> bool:
    """On SQLite whoever writes is alone."""
    if connection.dialect.name != "postgresql":
        return True
    return bool(connection.execute(text(f"SELECT pg_try_advisory_xact_lock({_LOCK})")).scalar())


def _sums(connection: Connection, chosen: Any) -> dict[str, Any]:
    columns = [func.coalesce(func.sum(usage_records.c[name]), 0).label(name) for name in (*_SUMS, *_AMOUNTS)]
    row = connection.execute(select(*columns).where(chosen)).one()._mapping
    return {name: int(row[name]) for name in _SUMS} | {
        name.replace("_nano_usd", "_usd"): usd_text(int(row[name])) for name in _AMOUNTS
    }
