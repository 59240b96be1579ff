"""What the columns keep."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import Engine, insert, select, text

from scalix_callbacks.ledger.database import DatabaseError, reading, writing
from scalix_callbacks.ledger.schema import accounts


def row(moment: datetime) -> dict[str, object]:
    return {"id": "ada", "tier": "pro", "created_at": moment, "change_no": 1}


def test_a_moment_comes_back_as_it_was(migrated: Engine) -> None:
    """To the microsecond and in UTC, whatever zone it was written in."""
    moment = datetime(2030, 1, 31, 23, 30, 0, 1, tzinfo=timezone(timedelta(hours=-5)))
    with writing(migrated) as connection:
        connection.execute(insert(accounts).values(row(moment)))
    with reading(migrated) as connection:
        stored = connection.execute(select(accounts.c.created_at)).scalar_one()

    assert datetime(2030, 2, 1, 4, 30, 0, 1, tzinfo=UTC) == stored
    assert timedelta(0) == stored.utcoffset()


def test_a_moment_without_a_zone_is_not_stored(migrated: Engine) -> None:
    """Nobody could say later when it was."""
    with pytest.raises(DatabaseError), writing(migrated) as connection:
        connection.execute(insert(accounts).values(row(datetime(2030, 1, 31))))


def test_there_is_one_counter_only(migrated: Engine) -> None:
    """A second row would let two changes share a number."""
    with pytest.raises(DatabaseError, match="nothing was changed"), writing(migrated) as connection:
        connection.execute(text("INSERT INTO change_counter (id, change_no) VALUES (2, 0)"))


def test_a_key_belongs_to_an_account(migrated: Engine) -> None:
    """No key can outlive or precede its account."""
    statement = (
        "INSERT INTO api_keys (hash, id, account_id, hint, created_at, change_no)"
        " VALUES ('h', 'key_0', 'nobody', 'x', '2030-01-31 00:00:00', 1)"
    )
    with pytest.raises(DatabaseError, match="nothing was changed"), writing(migrated) as connection:
        connection.execute(text(statement))
