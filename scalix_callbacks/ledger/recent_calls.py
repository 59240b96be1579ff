"""Reads the newest calls for the status page: few columns of a bounded number of records."""

from datetime import datetime

from sqlalchemy import Engine, func, select

from scalix_callbacks.core.recent_calls import RecentCall
from scalix_callbacks.ledger.database import reading
from scalix_callbacks.ledger.schema import usage_records

_c = usage_records.c


class RecentCalls:
    """Any number of threads may share it. Raises DatabaseError."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def read(self, since: datetime, limit: int) -> list[RecentCall]:
        """Up to `limit` calls that began at or after `since`, the newest first."""
        model = func.coalesce(_c.model_used, _c.model_requested)
        query = (
            select(
                *(_c.request_id, _c.user_id, _c.at, model, _c.tier, _c.outcome, _c.error_category),
                *(_c.duration_ms, _c.time_to_first_token_ms),
            )
            .where(_c.at >= since)
            .order_by(_c.at.desc(), _c.call_id.desc())
            .limit(limit)
        )
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        return [RecentCall(*row[:2], row[2].timestamp(), *row[3:]) for row in rows]
