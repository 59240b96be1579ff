"""The audit log, consent, and who was erased."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_REFUSAL = "The audit log is append-only."


def upgrade() -> None:
    """Create the tables and the triggers that keep the log append-only."""
    op.add_column("accounts", sa.Column("consented_at", sa.DateTime(timezone=True)))
    op.create_table(
        "audit_log",
        sa.Column("no", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("subject", sa.CHAR(64)),
        sa.Column("details", sa.Text, nullable=False),
        sa.Column("hash", sa.CHAR(64), nullable=False),
    )
    op.create_index("ix_audit_log_subject", "audit_log", ["subject"])
    head = op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("no", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.CHAR(64), nullable=False),
        sa.CheckConstraint("id = 1", name="ck_audit_head_one_row"),
    )
    op.bulk_insert(head, [{"id": 1, "no": 0, "hash": "0" * 64}])
    op.create_table(
        "audit_subjects",
        sa.Column("digest", sa.CHAR(64), primary_key=True),
        sa.Column("account_id", sa.String(128), nullable=False),
        sa.Column("salt", sa.CHAR(32)),
    )
    op.create_index("ix_audit_subjects_account_id", "audit_subjects", ["account_id"])
    op.create_table(
        "erased_accounts",
        sa.Column("digest", sa.CHAR(64), primary_key=True),
        sa.Column("pseudonym", sa.String(128), nullable=False),
        sa.Column("account_id", sa.String(128)),
        sa.Column("had_account", sa.Boolean, nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("change_no", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_erased_accounts_expires_at", "erased_accounts", ["expires_at"])
    op.create_index("ix_erased_accounts_change_no", "erased_accounts", ["change_no"])
    if op.get_bind().dialect.name == "sqlite":
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_log_no_{change.lower()} BEFORE {change} ON audit_log"
                f" BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
            )
    else:
        op.execute(
            "CREATE FUNCTION audit_log_refuses() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$"
        )
        op.execute(
            "CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log"
            " FOR EACH STATEMENT EXECUTE FUNCTION audit_log_refuses()"
        )
