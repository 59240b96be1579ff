"""Accounts, their hashed keys, and the number that tells workers of a change."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables. Types are spelled out: this file must not change when `schema.py` does."""
    op.create_table(
        "accounts",
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("tier", sa.Text, nullable=False),
        sa.Column("tier_until", sa.DateTime(timezone=True)),
        sa.Column("max_budget_nano_usd", sa.BigInteger),
        sa.Column("suspended_at", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("change_no", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_accounts_change_no", "accounts", ["change_no"])
    op.create_table(
        "api_keys",
        sa.Column("hash", sa.CHAR(64), primary_key=True),
        sa.Column("id", sa.String(20), nullable=False),
        sa.Column(
            "account_id",
            sa.String(128),
            sa.ForeignKey("accounts.id", name="fk_api_keys_account_id_accounts"),
            nullable=False,
        ),
        sa.Column("hint", sa.Text, nullable=False),
        sa.Column("name", sa.Text),
        sa.Column("models", sa.JSON(none_as_null=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
        sa.Column("change_no", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("id", name="uq_api_keys_id"),
    )
    op.create_index("ix_api_keys_account_id", "api_keys", ["account_id"])
    op.create_index("ix_api_keys_change_no", "api_keys", ["change_no"])
    counter = op.create_table(
        "change_counter",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("change_no", sa.BigInteger, nullable=False),
        sa.CheckConstraint("id = 1", name="ck_change_counter_one_row"),
    )
    op.bulk_insert(counter, [{"id": 1, "change_no": 0}])
