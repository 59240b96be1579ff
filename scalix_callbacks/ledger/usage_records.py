"""The usage ledger: one record per call, written once, read by page."""

import base64
import hashlib
import json
import logging
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, Table, literal, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError, IntegrityError

from scalix_callbacks.core.moments import parse_iso
from scalix_callbacks.core.record import CallRecord, Outcome
from scalix_callbacks.ledger.database import reading, writing
from scalix_callbacks.ledger.erased_rows import Hiding, share_lock
from scalix_callbacks.ledger.schema import UtcDateTime, usage_records, usage_rejects
from scalix_callbacks.ledger.usage_rollup import RollUp
from scalix_callbacks.ledger.usage_rows import BadRecord, to_record, to_row

MAX_PAGE = 1_000
MAX_REJECT_CHARS = 65_536

_log = logging.getLogger("scalix.ledger")


class InvalidCursor(ValueError):
    """This was given out by no page."""


class UsageRecords:
    """The records of one database. Any number of threads may share it; every call may wait for the database.

    Every method raises `DatabaseError` when the database fails.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def insert(self, records: Sequence[tuple[Mapping[str, Any], bool]]) -> int:
        """Keep these records, all in one transaction; returns how many were not there before.

        A record whose `call_id` is there already changes nothing, so that a batch may be handed in any
        number of times. One that cannot be kept is put into `usage_rejects`, and the others are kept.

        Args:
            records: each in the JSON form of `CallRecord`, with whether it is late: it takes the place of
                the record of a call that was given up for dead; and one that does not count as a request
                that of one that does. These are the only edits, and whatever comes in which order, the
                same is kept in the end.
        """
        rows, late_rows, rejects = list[_Row](), list[_Row](), list[_Row]()
        for record, is_late in records:
            try:
                (late_rows if is_late else rows).append(to_row(record))
            except BadRecord as error:
                rejects.append(_reject(record, is_late, str(error)))
        user_ids = {str(record["user_id"]) for record, _ in records if isinstance(record.get("user_id"), str)}
        with writing(self._engine) as connection:
            share_lock(connection)
            hiding = Hiding(connection, user_ids)
            hiding.hide(rows)
            hiding.hide(late_rows)
            sums = RollUp()  # of the rows as they are kept: after hiding
            inserted = _insert_all(connection, rows, rejects, sums)
            inserted += _insert_each(connection, late_rows, rejects, sums, is_late=True)
            sums.write(connection)
            new_rejects = [reject for reject in rejects if _insert(connection, usage_rejects, [reject])]
            if new_rejects:
                hiding.hide_rejects(connection)
        for reject in new_rejects:  # told once, however often it is handed in
            _log.error(
                "A usage record could not be kept (%s). It is in the table usage_rejects, as %s.",
                reject["reason"],
                reject["sha256"],
            )
        return inserted

    def missing(self, call_ids: Collection[str]) -> set[str]:
        """Which of these calls have no record yet, or only that of one given up for dead."""
        there = select(usage_records.c.call_id).where(
            usage_records.c.call_id.in_(list(call_ids)), usage_records.c.outcome != Outcome.ABANDONED
        )
        with reading(self._engine) as connection:
            return set(call_ids) - set(connection.scalars(there))

    def page(
        self,
        user_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Up to `limit` (1 to 1,000) records, oldest first, and the cursor of the next page; None: no more.

        No record is on two pages, and none is left out by others that come in meanwhile. One that comes in
        late, with an `at` before the cursor, is on no later page.

        Args:
            user_id: whose; None: everybody's.
            since, until: aware; `since` itself is in, `until` itself is not.
            cursor: what the page before gave with it.

        Raises:
            InvalidCursor: `cursor` is not one.
        """
        if not 1 <= limit <= MAX_PAGE:
            raise ValueError(f"A page has 1 to {MAX_PAGE} records.")
        at, call_id = usage_records.c.at, usage_records.c.call_id
        query = select(usage_records).order_by(at, call_id).limit(limit + 1)
        if user_id is not None:
            query = query.where(usage_records.c.user_id == user_id)
        if since is not None:
            query = query.where(at >= since)
        if until is not None:
            query = query.where(at < until)
        if cursor is not None:
            last_at, last_id = _read_cursor(cursor)
            query = query.where(tuple_(at, call_id) > tuple_(literal(last_at, UtcDateTime), literal(last_id)))
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        following = _cursor(rows[limit - 1].at, rows[limit - 1].call_id) if len(rows) > limit else None
        return [to_record(row) for row in rows[:limit]], following

    def latest(
        self,
        user_id: str | None = None,
        request_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = MAX_PAGE,
    ) -> list[dict[str, Any]]:
        """Up to `limit` records, newest first.

        Args:
            request_id: ours, or the `call_id`.
            since, until: as of `page`.
        """
        at, call_id = usage_records.c.at, usage_records.c.call_id
        query = select(usage_records).order_by(at.desc(), call_id.desc()).limit(limit)
        if user_id is not None:
            query = query.where(usage_records.c.user_id == user_id)
        if request_id is not None:
            query = query.where((usage_records.c.request_id == request_id) | (call_id == request_id))
        if since is not None:
            query = query.where(at >= since)
        if until is not None:
            query = query.where(at < until)
        with reading(self._engine) as connection:
            return [to_record(row) for row in connection.execute(query)]


_Row = dict[str, Any]
_REFUSALS = (DataError, IntegrityError)
"""Of one row, whatever `to_row` overlooked; when the database itself fails, it is another error."""


def _insert_all(connection: Connection, rows: list[_Row], rejects: list[_Row], sums: RollUp) -> int:
    """How many were not there; what the database refuses is added to `rejects`."""
    by_id = {row["call_id"]: row for row in reversed(rows)}  # of one that is there twice, the first
    try:
        with connection.begin_nested():
            new = _insert(connection, usage_records, list(by_id.values()))
    except _REFUSALS:
        return _insert_each(connection, rows, rejects, sums, is_late=False)
    for call_id in new:
        sums.add(by_id[call_id])
    return len(new)


def _insert_each(
    connection: Connection, rows: list[_Row], rejects: list[_Row], sums: RollUp, *, is_late: bool
) -> int:
    """As `_insert_all`, one by one; a late one may take the place of the one that is there."""
    inserted = 0
    for row in sorted(rows, key=lambda row: str(row["call_id"])):
        try:
            with connection.begin_nested():
                is_new = bool(_insert(connection, usage_records, [row]))
                replaced = _replace(connection, row) if is_late and not is_new else None
        except _REFUSALS as error:
            rejects.append(_reject(CallRecord(**row).to_json(), is_late, type(error).__name__))
            continue
        inserted += is_new
        if replaced is not None:
            sums.take(replaced)
        if is_new or replaced is not None:
            sums.add(row)
    return inserted


def _insert(connection: Connection, table: Table, rows: list[_Row]) -> list[str]:
    """The keys that were not there; those that were stay as they are."""
    if not rows:
        return []
    # Each database has this insert in a class of its own.
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    key = table.primary_key.columns[0]
    statement = insert(table).on_conflict_do_nothing(index_elements=[key]).returning(key)
    # In one order for all workers: two that write the same rows must not each wait for the other.
    return list(connection.scalars(statement, sorted(rows, key=lambda row: str(row[key.name]))))


def _replace(connection: Connection, row: _Row) -> Mapping[str, Any] | None:
    """Puts the row in the place of the one that is there and knows less; returns that one, or None."""
    same = usage_records.c.call_id == row["call_id"]
    # Locked until the end: of two that replace it, each must take away what really was there.
    found = connection.execute(select(usage_records).where(same).with_for_update()).mappings().one_or_none()
    there = None if found is None else dict(found)
    if there is None or not _knows_less(there, row):
        return None
    connection.execute(update(usage_records).where(same).values(row))
    return there


def _knows_less(there: Mapping[str, Any], row: _Row) -> bool:
    """A worker that hands in a record itself cannot know whether another attempt of its request counts."""
    return bool(there["outcome"] == Outcome.ABANDONED or there["requests_counted"] > row["requests_counted"])


def _reject(record: Mapping[str, Any], is_late: bool, reason: str) -> _Row:
    text = json.dumps(record, sort_keys=True)
    return {
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "reason": reason,
        "is_late": is_late,
        "record": text[:MAX_REJECT_CHARS],
        "at": datetime.now(UTC),
    }


def _cursor(at: datetime, call_id: str) -> str:
    return base64.urlsafe_b64encode(f"{at.isoformat()} {call_id}".encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> tuple[datetime, str]:
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        at, _, call_id = base64.b64decode(padded, altchars=b"-_", validate=True).decode().partition(" ")
        moment = parse_iso(at)
    except (ValueError, OverflowError):
        raise InvalidCursor("This is no cursor of a page.") from None
    if not call_id or "\0" in call_id:
        raise InvalidCursor("This is no cursor of a page.")
    return moment, call_id
