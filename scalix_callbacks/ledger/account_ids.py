"""Where an account's id stands, beside its account and its keys; the one list that erasure goes by.

A table with such a column is one line in `HOLDERS`, whose order counts: sums come after what they sum.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Column, Connection, select, update

from scalix_callbacks.ledger.schema import usage_daily, usage_records
from scalix_callbacks.ledger.usage_rollup import move_user

BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Holder:
    """A column that holds account ids.

    Attributes:
        column: the id.
        cleared: what else could tell who it was.
        move: of a table of sums: adds those of the one id to those of the other, all at once; None where each
            row stands for itself.
    """

    column: Column[str]
    cleared: Sequence[Column[object]] = ()
    move: Callable[[Connection, str, str], None] | None = None


HOLDERS: tuple[Holder, ...] = (
    Holder(usage_records.c.user_id, cleared=[usage_records.c.client_request_id]),
    Holder(usage_daily.c.user_id, move=move_user),
)


def rename_account(connection: Connection, old: str, new: str, limit: int = BATCH) -> int:
    """Put `new` in the place of `old`, in at most `limit` rows; returns in how many, 0: nothing is left.

    Sums are moved together with the last of the rows, and are not counted.
    """
    renamed = 0
    for holder in HOLDERS:
        if renamed >= limit:
            break
        if holder.move is not None:
            holder.move(connection, old, new)
        else:
            renamed += _rename(connection, holder, old, new, limit - renamed)
    return renamed


def _rename(connection: Connection, holder: Holder, old: str, new: str, limit: int) -> int:
    table = holder.column.table
    (key,) = table.primary_key.columns
    some = select(key).where(holder.column == old).limit(limit)
    values = {holder.column.name: new, **{column.name: None for column in holder.cleared}}
    return connection.execute(update(table).where(key.in_(some)).values(values)).rowcount
