"""Limits of one account, over those of its tier."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; NULL: the tier's limits hold."""
    op.add_column("accounts", sa.Column("limit_overrides", sa.JSON(none_as_null=True)))
