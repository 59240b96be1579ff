"""For how long the budget of an account is."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; NULL: 30 days."""
    op.add_column("accounts", sa.Column("budget_window_s", sa.Integer))
