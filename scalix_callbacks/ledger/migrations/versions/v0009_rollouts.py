"""How far features are rolled out, and what the operator decided for single users."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables `rollouts`, `rollout_users` and `rollout_changes`, the last with its one row."""
    op.create_table(
        "rollouts",
        sa.Column("flag", sa.String(40), primary_key=True),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("held_s", sa.BigInteger, nullable=False),
        sa.Column("percent", sa.Integer, nullable=False),
        sa.Column("daily_percent", sa.Integer, nullable=False),
        sa.Column("base_s", sa.BigInteger, nullable=False),
        sa.Column("bases", sa.JSON, nullable=False),
        sa.Column("groups", sa.JSON, nullable=False),
        sa.Column("reason", sa.JSON(none_as_null=True)),
        sa.Column("told_percent", sa.Integer, nullable=False),
    )
    op.create_table(
        "rollout_users",
        sa.Column("flag", sa.String(40), primary_key=True),
        sa.Column("account_id", sa.String(128), primary_key=True),
        sa.Column("own", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_rollout_users_account_id", "rollout_users", ["account_id"])
    changes = op.create_table(
        "rollout_changes",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("change_no", sa.BigInteger, nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_rollout_changes_one_row")),
    )
    op.bulk_insert(changes, [{"id": 1, "change_no": 0}])
