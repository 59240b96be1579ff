"""A ledger of ten million records: how fast it takes more, and how fast it tells what they come to."""

import random
import time
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Engine, text

from bench.figures import Row
from bench.part import Effort, Part, Servers
from bench.processes import folder
from scalix_callbacks.drain import MAX_BATCH
from scalix_callbacks.ledger.database import connect, migrate, writing
from scalix_callbacks.ledger.schema import usage_records
from scalix_callbacks.ledger.usage_records import UsageRecords
from scalix_callbacks.ledger.usage_sums import Group, Span, UsageSums
from tests.records import call_record

RECORDS = 10_000_000
USERS = 2_000
DAYS = 250
LAST = date(2026, 10, 31)
BATCHES = 10


def ledger(servers: Servers, effort: Effort) -> Part:
    """Needs none of the servers; some gigabytes of disk, and minutes. Each figure is the median of rounds."""
    with folder() as home:
        engine = connect(f"sqlite:///{home / 'scalix.db'}")
        migrate(engine)
        empty = _rate(engine)
        _fill(engine)
        taken_per_s = "records taken per s, by one worker"
        rows: list[Row] = [{"": taken_per_s, "empty": empty, f"{RECORDS:,}": _rate(engine)}]
        for name, ask in _questions(engine).items():
            taken = []
            for _ in range(effort.rounds):
                began = time.perf_counter()
                ask()
                taken.append(time.perf_counter() - began)
            rows.append({"": f"{name}, ms", f"{RECORDS:,}": sorted(taken)[len(taken) // 2] * 1_000})
        engine.dispose()
    return Part(f"The ledger on SQLite: {RECORDS:,} records of {USERS:,} users in {DAYS} days", rows)


def _rate(engine: Engine) -> float:
    """As the drain hands them in: batches of new records, with their sums, a transaction each."""
    batches = [[(_record(), False) for _ in range(MAX_BATCH)] for _ in range(BATCHES)]
    records = UsageRecords(engine)
    began = time.perf_counter()
    for batch in batches:
        records.insert(batch)
    return BATCHES * MAX_BATCH / (time.perf_counter() - began)


def _record() -> dict[str, object]:
    return call_record(
        call_id=uuid.uuid4().hex,
        request_id=uuid.uuid4().hex,
        at=datetime.combine(LAST, datetime.min.time(), UTC) + timedelta(days=1),
        user_id=f"user-{random.randrange(USERS)}",
    ).to_json()


def _fill(engine: Engine) -> None:
    """In the database itself: by way of the drain it would take an hour."""
    numbers = (
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < :records - 1),"
        " r AS (SELECT i, i % :users AS u, i * :days / :records AS d, (i / :users) % 4 AS m FROM n)"
    )
    values = {"records": RECORDS, "users": USERS, "days": DAYS, "first": str(LAST - timedelta(days=DAYS - 1))}
    for index in usage_records.indexes:
        index.drop(engine)
    with writing(engine) as connection:
        connection.execute(
            text(
                f"INSERT INTO usage_records {numbers} SELECT printf('%032x', i), printf('%032x', i), NULL,"
                " datetime(:first, d || ' days', (i % 86400) || ' seconds') || '.000000', 'user-' || u,"
                " 'pro', 'chat', 'model-' || m, 'model-' || m, 'openai', 900, 120, NULL, NULL, 2760000,"
                " 2760000, 1, 'ok', NULL, 1900, 400, 1, 1, 0, '{}' FROM r"
            ),
            values,
        )
        connection.execute(
            text(
                f"INSERT INTO usage_daily {numbers} SELECT printf('%064x', min(i)),"
                " date(:first, d || ' days'), 'user-' || u, 'pro', 'model-' || m, 'model-' || m, 'ok', NULL,"
                " count(*), count(*), 900 * count(*), 120 * count(*), 0, 0, 2760000 * count(*), 0,"
                " 1020 * count(*), 2760000 * count(*), 0, 1900 * count(*), count(*) FROM r GROUP BY d, u, m"
            ),
            values,
        )
    for index in usage_records.indexes:
        index.create(engine)


def _questions(engine: Engine) -> dict[str, Callable[[], object]]:
    sums, records = UsageSums(engine), UsageRecords(engine)
    month = (date(2026, 10, 1), LAST)
    year = (date(2025, 11, 1), LAST)
    return {
        "/v1/user/stats, 30 days": lambda: sums.page(
            Span(*month, "user-7"), (Group.MODEL_REQUESTED, Group.MODEL)
        ),
        "/v1/user/usage, a year by day": lambda: sums.page(Span(*year, "user-7"), (Group.DAY,), 366),
        "/scalix/admin/usage, a month by day": lambda: sums.page(Span(*month), (Group.DAY,)),
        "/scalix/admin/usage, a month by user": lambda: sums.page(Span(*month), (Group.USER,)),
        "/scalix/admin/usage, a year by model": lambda: sums.page(Span(*year), (Group.MODEL,)),
        "/scalix/admin/bills, a page of 100 users": lambda: sums.by_user_and_model(
            Span(*month), "user-1", "user-1089"
        ),
        "/scalix/admin/ledger, 1,000 of a user": lambda: records.page(user_id="user-7", limit=1_000),
        "/scalix/admin/ledger, 1,000 of all": lambda: records.page(limit=1_000),
        "/spend/logs, the newest of a user": lambda: records.latest(user_id="user-7", limit=1_000),
    }
