"""Where an account's id stands, beside its account and its keys; the one list that erasure goes by.

A table with such a column is one line in `HOLDERS`. A table of sums names them and what else its key is made
of: where both ids have a row of one key, the sums are added up.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Column, Connection, delete, select, update

from scalix_callbacks.ledger.schema import usage_records

BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Holder:
    """A column that holds account ids.

    Attributes:
        column: the id.
        key: columns that, with the id or alone, make a row the only one.
        cleared: what else could tell who it was.
        sums: of a table of sums; None where each row stands for itself.
    """

    column: Column[str]
    key: Sequence[Column[object]]
    cleared: Sequence[Column[object]] = ()
    sums: Sequence[Column[int]] = ()


HOLDERS: tuple[Holder, ...] = (
    Holder(usage_records.c.user_id, [usage_records.c.call_id], cleared=[usage_records.c.client_request_id]),
)


def rename_account(
    connection: Connection, old: str, new: str, holders: Sequence[Holder] = HOLDERS, limit: int = BATCH
) -> int:
    """Put `new` in the place of `old`, in at most `limit` rows; returns in how many, 0: nothing is left."""
    renamed = 0
    for holder in holders:
        if renamed < limit:
            rename = _merge if holder.sums else _rename
            renamed += rename(connection, holder, old, new, limit - renamed)
    return renamed


def _rename(connection: Connection, holder: Holder, old: str, new: str, limit: int) -> int:
    (key,) = holder.key
    some = select(key).where(holder.column == old).limit(limit)
    values = {holder.column.name: new, **{column.name: None for column in holder.cleared}}
    return connection.execute(update(holder.column.table).where(key.in_(some)).values(values)).rowcount


def _merge(connection: Connection, holder: Holder, old: str, new: str, limit: int) -> int:
    table = holder.column.table
    rows = connection.execute(
        select(*holder.key, *holder.sums).where(holder.column == old).limit(limit).with_for_update()
    ).all()
    for row in rows:
        same = [column == row._mapping[column] for column in holder.key]
        added = {column.name: column + row._mapping[column] for column in holder.sums}
        if connection.execute(update(table).where(holder.column == new, *same).values(added)).rowcount:
            connection.execute(delete(table).where(holder.column == old, *same))
        else:
            renamed = {holder.column.name: new, **{column.name: None for column in holder.cleared}}
            connection.execute(update(table).where(holder.column == old, *same).values(renamed))
    return len(rows)
