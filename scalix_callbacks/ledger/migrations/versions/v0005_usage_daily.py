"""Sums of the usage records by day, account and model, of those that are there already, too."""

import hashlib
import json
from datetime import date

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_KEY = ("day", "user_id", "tier", "model_requested", "model_used", "outcome", "error_category")
_BATCH = 1_000


def upgrade() -> None:
    """Create the table and fill it; find records by their request as well."""
    op.create_index("ix_usage_records_request_id", "usage_records", ["request_id"])
    daily = op.create_table(
        "usage_daily",
        sa.Column("id", sa.CHAR(64), primary_key=True),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("user_id", sa.String(128), nullable=False),
        sa.Column("tier", sa.Text),
        sa.Column("model_requested", sa.Text, nullable=False),
        sa.Column("model_used", sa.Text),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("error_category", sa.Text),
        sa.Column("calls", sa.BigInteger, nullable=False),
        sa.Column("requests", sa.BigInteger, nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger, nullable=False),
        sa.Column("completion_tokens", sa.BigInteger, nullable=False),
        sa.Column("cached_tokens", sa.BigInteger, nullable=False),
        sa.Column("reasoning_tokens", sa.BigInteger, nullable=False),
        sa.Column("price_nano_usd", sa.BigInteger, nullable=False),
        sa.Column("price_unknown_calls", sa.BigInteger, nullable=False),
        sa.Column("priced_tokens", sa.BigInteger, nullable=False),
        sa.Column("provider_cost_nano_usd", sa.BigInteger, nullable=False),
        sa.Column("provider_cost_unknown_calls", sa.BigInteger, nullable=False),
        sa.Column("duration_ms", sa.BigInteger, nullable=False),
        sa.Column("timed_calls", sa.BigInteger, nullable=False),
    )
    _fill(op.get_bind(), daily)
    op.create_index("ix_usage_daily_day", "usage_daily", ["day", "user_id"])
    op.create_index("ix_usage_daily_user_id", "usage_daily", ["user_id", "day"])


_SUMS = """
    SELECT {day} AS day, user_id, tier, model_requested, model_used, outcome, error_category,
        count(*) AS calls,
        sum(requests_counted) AS requests,
        coalesce(sum(prompt_tokens), 0) AS prompt_tokens,
        coalesce(sum(completion_tokens), 0) AS completion_tokens,
        coalesce(sum(cached_tokens), 0) AS cached_tokens,
        coalesce(sum(reasoning_tokens), 0) AS reasoning_tokens,
        coalesce(sum(price_nano_usd), 0) AS price_nano_usd,
        count(*) - count(price_nano_usd) AS price_unknown_calls,
        coalesce(sum(CASE WHEN price_nano_usd IS NOT NULL
            THEN coalesce(prompt_tokens, 0) + coalesce(completion_tokens, 0) END), 0) AS priced_tokens,
        coalesce(sum(provider_cost_nano_usd), 0) AS provider_cost_nano_usd,
        count(*) - count(provider_cost_nano_usd) AS provider_cost_unknown_calls,
        coalesce(sum(duration_ms), 0) AS duration_ms,
        count(duration_ms) AS timed_calls
    FROM usage_records
    WHERE {of_day}
    GROUP BY 1, 2, 3, 4, 5, 6, 7
"""


def _fill(connection: sa.Connection, daily: sa.Table) -> None:
    """Day by day: of a ledger of millions, no more than that is in memory."""
    if connection.dialect.name == "sqlite":  # a moment is text there: 2030-01-31 12:00:00.000000
        day, start, end = "substr(at, 1, 10)", ":day", ":day || ' 24'"
    else:
        day = "to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD')"
        start = "CAST(CAST(:day AS text) || ' 00:00+00' AS timestamptz)"
        end = f"{start} + interval '24 hours'"
    sums = sa.text(_SUMS.format(day=day, of_day=f"at >= {start} AND at < {end}"))
    for each in connection.scalars(sa.text(f"SELECT DISTINCT {day} FROM usage_records")).all():
        rows = [_row(dict(row)) for row in connection.execute(sums, {"day": each}).mappings()]
        for begin in range(0, len(rows), _BATCH):
            connection.execute(sa.insert(daily), rows[begin : begin + _BATCH])


def _row(sums: dict[str, object]) -> dict[str, object]:
    text = json.dumps([sums[name] for name in _KEY])
    amounts = {name: value if name in _KEY else int(str(value)) for name, value in sums.items()}
    return {
        **amounts,
        "id": hashlib.sha256(text.encode()).hexdigest(),
        "day": date.fromisoformat(str(sums["day"])),
    }
