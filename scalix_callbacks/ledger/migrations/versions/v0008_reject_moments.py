"""Since when records that could not be kept are there, so that they do not stay for good."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; those that are there came in now, as far as is known."""
    op.add_column("usage_rejects", sa.Column("at", sa.DateTime(timezone=True)))
    rejects = sa.table("usage_rejects", sa.column("at", sa.DateTime(timezone=True)))
    op.execute(rejects.update().values(at=sa.func.current_timestamp()))
    op.create_index("ix_usage_rejects_at", "usage_rejects", ["at"])
