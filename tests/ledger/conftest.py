"""Real databases for the ledger's promises: an SQLite file, and a PostgreSQL server."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from scalix_callbacks.ledger.accounts import Accounts
from scalix_callbacks.ledger.database import connect
from tests.databases import make_tables


class Clock:
    """Stands still until it is advanced."""

    def __init__(self) -> None:
        self.moment = datetime(2030, 1, 31, 12, 0, 0, 123_456, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment

    def advance(self, **by: float) -> None:
        self.moment += timedelta(**by)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine on an empty database."""
    engine = connect(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def migrated(engine: Engine) -> Engine:
    """The same engine, on today's schema."""
    make_tables(engine)
    return engine


@pytest.fixture
def accounts(migrated: Engine, clock: Clock) -> Accounts:
    return Accounts(migrated, now=clock)
