"""One record per call, and what could not become one."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "usage_records",
        sa.Column("call_id", sa.String(64), primary_key=True),
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.Column("client_request_id", sa.Text),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("user_id", sa.String(128), nullable=False),
        sa.Column("tier", sa.Text),
        sa.Column("endpoint", sa.Text, nullable=False),
        sa.Column("model_requested", sa.Text, nullable=False),
        sa.Column("model_used", sa.Text),
        sa.Column("provider", sa.Text),
        sa.Column("prompt_tokens", sa.BigInteger),
        sa.Column("completion_tokens", sa.BigInteger),
        sa.Column("cached_tokens", sa.BigInteger),
        sa.Column("reasoning_tokens", sa.BigInteger),
        sa.Column("provider_cost_nano_usd", sa.BigInteger),
        sa.Column("price_nano_usd", sa.BigInteger),
        sa.Column("requests_counted", sa.Integer, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("error_category", sa.Text),
        sa.Column("duration_ms", sa.BigInteger),
        sa.Column("time_to_first_token_ms", sa.BigInteger),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("stream", sa.Boolean, nullable=False),
        sa.Column("estimated", sa.Boolean, nullable=False),
        sa.Column("windows", sa.JSON, nullable=False),
    )
    op.create_index("ix_usage_records_at", "usage_records", ["at", "call_id"])
    op.create_index("ix_usage_records_user_id", "usage_records", ["user_id", "at", "call_id"])
    op.create_table(
        "usage_rejects",
        sa.Column("sha256", sa.CHAR(64), primary_key=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("is_late", sa.Boolean, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
    )
