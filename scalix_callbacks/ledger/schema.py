"""The tables as they are today; `migrations/` holds how they came to be."""

from datetime import UTC, datetime

from sqlalchemy import (
    CHAR,
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

VERSION_TABLE = "scalix_schema_version"
"""Not Alembic's default name: another program's would be taken for ours."""


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: aware and in UTC on the Python side of both databases, whatever the server's time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("A moment without a time zone cannot be stored.")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    }
)

accounts = Table(
    "accounts",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("tier", Text, nullable=False),
    Column("tier_until", UtcDateTime),  # NULL: for good
    Column("max_budget_nano_usd", BigInteger),  # NULL: no budget; 0: nothing may be spent
    Column("suspended_at", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Column("change_no", BigInteger, nullable=False, index=True),
    Column(
        "limit_overrides", JSON(none_as_null=True)
    ),  # NULL: none; else [{unit, window_s, amount, shadow?}]
    Column("budget_window_s", Integer),  # NULL: 30 days
    Column("consented_at", UtcDateTime),  # to what goes beyond the necessary; NULL: not, or taken back
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("hash", CHAR(64), primary_key=True),
    Column("id", String(20), nullable=False, unique=True),
    Column("account_id", String(128), ForeignKey("accounts.id"), nullable=False, index=True),
    Column("hint", Text, nullable=False),
    Column("name", Text),
    Column("models", JSON(none_as_null=True)),  # NULL: all of the tier; else a list of names and patterns
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    Column("change_no", BigInteger, nullable=False, index=True),
)

change_counter = Table(
    "change_counter",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("change_no", BigInteger, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)

usage_records = Table(
    "usage_records",
    metadata,
    Column("call_id", String(64), primary_key=True),
    Column("request_id", String(64), nullable=False),
    Column("client_request_id", Text),
    Column("at", UtcDateTime, nullable=False),
    Column("user_id", String(128), nullable=False),
    Column("tier", Text),  # NULL: the operator's own call
    Column("endpoint", Text, nullable=False),
    Column("model_requested", Text, nullable=False),
    Column("model_used", Text),
    Column("provider", Text),
    Column("prompt_tokens", BigInteger),
    Column("completion_tokens", BigInteger),
    Column("cached_tokens", BigInteger),
    Column("reasoning_tokens", BigInteger),
    Column("provider_cost_nano_usd", BigInteger),
    Column("price_nano_usd", BigInteger),
    Column("requests_counted", Integer, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("error_category", Text),
    Column("duration_ms", BigInteger),
    Column("time_to_first_token_ms", BigInteger),
    Column("attempt", Integer, nullable=False),
    Column("stream", Boolean, nullable=False),
    Column("estimated", Boolean, nullable=False),
    Column("windows", JSON, nullable=False),
    Index("ix_usage_records_at", "at", "call_id"),
    Index("ix_usage_records_user_id", "user_id", "at", "call_id"),
    Index("ix_usage_records_request_id", "request_id"),
)
"""One row per call, and NULL for what is not known. No foreign key: who may call need not have an account."""

usage_rejects = Table(
    "usage_rejects",
    metadata,
    Column("sha256", CHAR(64), primary_key=True),  # of the record: it may be handed in more than once
    Column("reason", Text, nullable=False),
    Column("is_late", Boolean, nullable=False),
    Column("record", Text, nullable=False),  # JSON, cut at a bound
    Column("at", UtcDateTime, index=True),  # when it came in
)
"""Records that `usage_records` could not take, for a person to look at."""

usage_daily = Table(
    "usage_daily",
    metadata,
    Column("id", CHAR(64), primary_key=True),  # hash of the next seven, of which some are NULL and some long
    Column("day", Date, nullable=False),  # in UTC
    Column("user_id", String(128), nullable=False),
    Column("tier", Text),
    Column("model_requested", Text, nullable=False),
    Column("model_used", Text),
    Column("outcome", Text, nullable=False),
    Column("error_category", Text),
    Column("calls", BigInteger, nullable=False),
    Column("requests", BigInteger, nullable=False),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("reasoning_tokens", BigInteger, nullable=False),
    Column("price_nano_usd", BigInteger, nullable=False),
    Column("price_unknown_calls", BigInteger, nullable=False),
    Column("priced_tokens", BigInteger, nullable=False),  # of the calls whose price is known
    Column("provider_cost_nano_usd", BigInteger, nullable=False),
    Column("provider_cost_unknown_calls", BigInteger, nullable=False),
    Column("duration_ms", BigInteger, nullable=False),
    Column("timed_calls", BigInteger, nullable=False),  # whose duration is known
    Index("ix_usage_daily_day", "day", "user_id"),
    Index("ix_usage_daily_user_id", "user_id", "day"),
)
"""Sums of `usage_records`, changed in the same transactions; what is unknown is counted apart."""

audit_log = Table(
    "audit_log",
    metadata,
    Column("no", BigInteger, primary_key=True, autoincrement=False),  # 1, 2, 3, … without a gap
    Column("at", UtcDateTime, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", CHAR(64), index=True),  # whose: the digest of `audit_subjects`; NULL: nobody's
    Column("details", Text, nullable=False),  # JSON, as it was sealed
    Column("hash", CHAR(64), nullable=False),  # over the hash before and all of this row
)
"""Rows are added and nothing else; on both databases triggers refuse more."""

audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("no", BigInteger, nullable=False),
    Column("hash", CHAR(64), nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)
"""The last entry of the log, so that it cannot be removed unnoticed."""

audit_subjects = Table(
    "audit_subjects",
    metadata,
    Column("digest", CHAR(64), primary_key=True),
    Column("account_id", String(128), nullable=False, index=True),
    Column("salt", CHAR(32)),  # NULL: erased; `account_id` is a pseudonym then
)
"""Who the log speaks of. Beside it, so that a person can be erased and the log still be whole."""

key_places = Table(
    "key_places",
    metadata,
    Column("account_id", String(128), primary_key=True),
    Column("key_id", String(20), primary_key=True),
    Column("place", CHAR(32), primary_key=True),  # a digest of the network, keyed with the account's salt
    Column("first_at", UtcDateTime, nullable=False),
    Column("last_at", UtcDateTime, nullable=False, index=True),  # to the hour
)
"""From where each key was used, so that a new place is known for one."""

watched = Table(
    "watched",
    metadata,
    Column("account_id", String(128), primary_key=True),
    Column("hour_at", UtcDateTime, primary_key=True, index=True),
    Column("what", String(40), primary_key=True),  # a policy that refused, or an anomaly rule
    Column("count", BigInteger, nullable=False),
)
"""How often in an hour, over all workers, so that the audit log has each once."""

erased_accounts = Table(
    "erased_accounts",
    metadata,
    Column("digest", CHAR(64), primary_key=True),  # SHA-256 of the id that was
    Column("pseudonym", String(128), nullable=False),
    Column("account_id", String(128)),  # the id itself while there is something left to do, then NULL
    Column("had_account", Boolean, nullable=False),
    Column("erased_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
    Column("change_no", BigInteger, nullable=False, index=True),
)
"""For as long as records may still be on their way under the old id."""

rollouts = Table(
    "rollouts",
    metadata,
    Column("flag", String(40), primary_key=True),
    Column("stage", Text, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("began_at", UtcDateTime, nullable=False),
    Column("state_at", UtcDateTime, nullable=False),
    Column("held_s", BigInteger, nullable=False),
    Column("percent", Integer, nullable=False),
    Column("daily_percent", Integer, nullable=False),
    Column("base_s", BigInteger, nullable=False),
    Column("bases", JSON, nullable=False),  # group: 1/100 %
    Column("groups", JSON, nullable=False),  # group: {share, delay_days, at_once}
    Column("reason", JSON(none_as_null=True)),  # NULL: it was not rolled back
    Column("told_percent", Integer, nullable=False),  # the last that the audit log has
)
"""A row for each flag that has begun; the fields of `core.rollout.Rollout`."""

rollout_users = Table(
    "rollout_users",
    metadata,
    Column("flag", String(40), primary_key=True),
    Column("account_id", String(128), primary_key=True, index=True),
    Column("own", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)
"""What the operator decided for single users."""

rollout_changes = Table(
    "rollout_changes",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("change_no", BigInteger, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)
"""Raised with every change of the two tables above, for workers to see."""
