"""The audit log tells who changed what, and shows when somebody wrote into it."""

import json
from collections.abc import Callable

import pytest
from sqlalchemy import Connection, Engine, delete, insert, select, text, update

from scalix_callbacks.ledger.accounts import AccountExists, Accounts
from scalix_callbacks.ledger.audit import Actor, AuditLog, Verdict
from scalix_callbacks.ledger.database import DatabaseError, reading, writing
from scalix_callbacks.ledger.schema import audit_head, audit_log, audit_subjects
from tests.ledger.conftest import Clock

TRIGGERS = {
    "sqlite": ["DROP TRIGGER audit_log_no_update", "DROP TRIGGER audit_log_no_delete"],
    "postgresql": ["DROP TRIGGER audit_log_append_only ON audit_log"],
}


@pytest.fixture
def log(accounts: Accounts, migrated: Engine) -> AuditLog:
    """Four entries: ada, her tier, bob, ada's suspension."""
    accounts.create_account("ada", "free")
    accounts.set_tier("ada", "pro")
    accounts.create_account("bob", "free")
    accounts.suspend("ada")
    return AuditLog(migrated)


def tamper(engine: Engine, change: Callable[[Connection], object]) -> Verdict:
    """What is said of the log after somebody with all rights changed it."""
    with writing(engine) as connection:
        for statement in TRIGGERS[engine.dialect.name]:
            connection.execute(text(statement))
        change(connection)
    return AuditLog(engine).verify()


def test_every_change_is_told_with_old_and_new(log: AuditLog) -> None:
    """Newest first: who, what, whose, and what differs."""
    entries, _ = log.page()
    told = [(entry["no"], entry["actor"], entry["action"], entry["user_id"]) for entry in entries]

    assert [
        (4, "operator", "account.suspend", "ada"),
        (3, "operator", "account.create", "bob"),
        (2, "operator", "account.tier", "ada"),
        (1, "operator", "account.create", "ada"),
    ] == told
    assert {"old": {"tier": "free"}, "new": {"tier": "pro"}} == entries[2]["details"]


def test_the_log_of_one_account_by_page(log: AuditLog) -> None:
    """Pages follow each other without a gap."""
    first, following = log.page("ada", 2)
    second, end = log.page("ada", 2, following)

    assert ([4, 2], [1], None) == ([e["no"] for e in first], [e["no"] for e in second], end)


def test_a_whole_log_is_whole(log: AuditLog) -> None:
    """So is an empty one's beginning."""
    verdict = log.verify()

    assert (4, None, None) == (verdict.entries, verdict.broken_no, verdict.problem)


def test_an_empty_log_is_whole(migrated: Engine) -> None:
    """Nothing was ever changed."""
    assert Verdict(0, "0" * 64) == AuditLog(migrated).verify()


@pytest.mark.parametrize(
    ("field", "value"), [("action", "account.resume"), ("actor", "cli"), ("details", "{}"), ("subject", None)]
)
def test_a_changed_entry_is_named(log: AuditLog, migrated: Engine, field: str, value: str) -> None:
    """Whatever of it was changed."""
    change = update(audit_log).where(audit_log.c.no == 2).values({field: value})

    assert 2 == tamper(migrated, lambda connection: connection.execute(change)).broken_no


def test_an_entry_in_the_middle_that_is_removed_is_named(log: AuditLog, migrated: Engine) -> None:
    """Its number is missing."""
    verdict = tamper(migrated, lambda c: c.execute(delete(audit_log).where(audit_log.c.no == 2)))

    assert (2, "Entry 2 is missing: it was removed.") == (verdict.broken_no, verdict.problem)


def test_the_last_entry_that_is_removed_is_named(log: AuditLog, migrated: Engine) -> None:
    """The head still knows of it."""
    verdict = tamper(migrated, lambda c: c.execute(delete(audit_log).where(audit_log.c.no == 4)))

    assert (3, 4) == (verdict.entries, verdict.broken_no)


def test_an_entry_that_is_added_is_named(log: AuditLog, migrated: Engine) -> None:
    """Behind the last one, where its hash could even be right."""

    def add(connection: Connection) -> None:
        row = connection.execute(select(audit_log).where(audit_log.c.no == 4)).one()
        connection.execute(insert(audit_log).values({**row._mapping, "no": 5}))

    assert 5 == tamper(migrated, add).broken_no


def test_entries_that_changed_places_are_named(log: AuditLog, migrated: Engine) -> None:
    """The first of them."""

    def swap(connection: Connection) -> None:
        for old, new in ((2, 9), (3, 2), (9, 3)):
            connection.execute(update(audit_log).where(audit_log.c.no == old).values(no=new))

    assert 2 == tamper(migrated, swap).broken_no


def test_a_head_set_back_does_not_hide_a_removal(log: AuditLog, migrated: Engine) -> None:
    """Its hash is not that of the entry before."""

    def cut(connection: Connection) -> None:
        connection.execute(delete(audit_log).where(audit_log.c.no == 4))
        connection.execute(update(audit_head).values(no=3))

    assert 3 == tamper(migrated, cut).broken_no


@pytest.mark.parametrize("values", [{"account_id": "eve"}, {"salt": None, "account_id": "erased_x"}])
def test_another_name_for_an_account_is_found(
    log: AuditLog, migrated: Engine, values: dict[str, str]
) -> None:
    """Nobody can put what was done to one account down to another, or hide it without an erasure."""
    change = update(audit_subjects).where(audit_subjects.c.account_id == "bob").values(values)

    assert 3 == tamper(migrated, lambda connection: connection.execute(change)).broken_no


@pytest.mark.parametrize("change", [update(audit_log).values(actor="cli"), delete(audit_log)])
def test_the_database_refuses_to_change_an_entry(log: AuditLog, migrated: Engine, change: object) -> None:
    """Not even by mistake."""
    with pytest.raises(DatabaseError), writing(migrated) as connection:
        connection.execute(change)  # type: ignore[call-overload]

    assert log.verify().problem is None


def test_what_is_refused_is_not_told(accounts: Accounts, log: AuditLog) -> None:
    """The entry goes with the change's own transaction."""
    with pytest.raises(AccountExists):
        accounts.create_account("ada", "free")

    assert 4 == log.verify().entries


def test_no_entry_holds_a_key(accounts: Accounts, log: AuditLog, migrated: Engine, clock: Clock) -> None:
    """Neither its secret nor its hash: its public id alone."""
    secret, key = accounts.acting_as(Actor.CLI).create_key("ada")
    newer, _ = accounts.rotate_key(key.id)
    with reading(migrated) as connection:
        texts = json.dumps([list(map(str, row)) for row in connection.execute(select(audit_log))])

    assert key.id in texts
    assert secret not in texts and newer not in texts and key.hint not in texts
