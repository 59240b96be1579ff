"""The API keys that soon end, for whoever has to replace them."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, func, select

from scalix_callbacks.ledger.database import reading
from scalix_callbacks.ledger.schema import api_keys

MAX_NAMED = 10


@dataclass(frozen=True, slots=True)
class ExpiringKeys:
    """How many there are, and the first of them as (public id, account, when)."""

    count: int
    first: tuple[tuple[str, str, datetime], ...]


def expiring_keys(engine: Engine, since: datetime, until: datetime) -> ExpiringKeys:
    """Of the keys in use those that end between these moments, the next first.

    Raises:
        DatabaseError: the database fails.
    """
    columns = (api_keys.c.id, api_keys.c.account_id, api_keys.c.expires_at)
    which = (api_keys.c.expires_at > since, api_keys.c.expires_at <= until, api_keys.c.revoked_at.is_(None))
    with reading(engine) as connection:
        count = connection.execute(select(func.count()).select_from(api_keys).where(*which)).scalar_one()
        found = connection.execute(
            select(*columns).where(*which).order_by(api_keys.c.expires_at).limit(MAX_NAMED)
        )
        return ExpiringKeys(count, tuple((row.id, row.account_id, row.expires_at) for row in found))
