"""From where keys were used, and what is counted by the hour for the audit log."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables `key_places` and `watched`."""
    op.create_table(
        "key_places",
        sa.Column("account_id", sa.String(128), primary_key=True),
        sa.Column("key_id", sa.String(20), primary_key=True),
        sa.Column("place", sa.CHAR(32), primary_key=True),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_key_places_last_at", "key_places", ["last_at"])
    op.create_table(
        "watched",
        sa.Column("account_id", sa.String(128), primary_key=True),
        sa.Column("hour_at", sa.DateTime(timezone=True), primary_key=True),
        sa.Column("what", sa.String(40), primary_key=True),
        sa.Column("count", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_watched_hour_at", "watched", ["hour_at"])
