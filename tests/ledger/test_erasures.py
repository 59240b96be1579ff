"""Who is erased is gone from everywhere, and the sums stay as they were."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from scalix_callbacks.core.keys import hash_key
from scalix_callbacks.core.record import CallRecord, Outcome
from scalix_callbacks.core.usage_sums import Sums
from scalix_callbacks.ledger import export
from scalix_callbacks.ledger.account_ids import HOLDERS, rename_account
from scalix_callbacks.ledger.accounts import AccountError, AccountExists, Accounts
from scalix_callbacks.ledger.audit import Actor, AuditLog
from scalix_callbacks.ledger.database import reading, writing
from scalix_callbacks.ledger.erasures import Erasures
from scalix_callbacks.ledger.export import Export
from scalix_callbacks.ledger.retention import Retention
from scalix_callbacks.ledger.schema import metadata, usage_daily, usage_records, usage_rejects
from scalix_callbacks.ledger.usage_records import UsageRecords
from scalix_callbacks.ledger.usage_sums import Group, Span, UsageSums
from tests.ledger.conftest import Clock
from tests.web.test_ledger import RECORD


@pytest.fixture
def erasures(migrated: Engine, clock: Clock) -> Erasures:
    return Erasures(migrated, now=clock)


@pytest.fixture
def records(migrated: Engine) -> UsageRecords:
    return UsageRecords(migrated)


def record(clock: Clock, call: str, user: str = "ada", **more: Any) -> tuple[dict[str, Any], bool]:
    made: CallRecord = replace(RECORD, call_id=call, user_id=user, at=clock(), prompt_tokens=7, **more)
    return made.to_json(), False


def users(records: UsageRecords) -> dict[str, str]:
    return {each["call_id"]: each["user_id"] for each in records.page()[0]}


def everything(engine: Engine) -> str:
    """All that is in any table, as text."""
    with reading(engine) as connection:
        return "\n".join(
            str(tuple(row)) for t in metadata.sorted_tables for row in connection.execute(select(t))
        )


def test_nothing_of_an_erased_account_is_left(
    accounts: Accounts, erasures: Erasures, records: UsageRecords, migrated: Engine, clock: Clock
) -> None:
    """No table holds the id, its key or what its client called its requests; the sums are as before."""
    secret, _, _ = accounts.issue_key("ada_person", "free", "free")
    named = replace(RECORD, client_request_id="ada_person:attempt-1")
    records.insert([record(clock, "c1", "ada_person", client_request_id=named.client_request_id)])
    records.insert([({**record(clock, "c2", "ada_person")[0], "tier": "\0"}, False)])  # refused
    before = sums(migrated)
    erasure = erasures.begin("ada_person", Actor.USER)
    clock.advance(seconds=61)
    renamed = erasures.rename(erasure)

    assert 1 == renamed
    assert erasures.finish(erasure)
    assert "ada_person" not in everything(migrated)
    assert hash_key(secret) not in everything(migrated)
    assert before == sums(migrated)
    assert {"c1": erasure.pseudonym} == users(records)
    assert erasure.pseudonym in str(rejects(migrated))
    assert AuditLog(migrated).verify().problem is None


def sums(engine: Engine) -> Any:
    columns = usage_records.c.prompt_tokens, usage_records.c.requests_counted
    with reading(engine) as connection:
        return tuple(connection.execute(select(func.count(), *map(func.sum, columns))).one())


def rejects(engine: Engine) -> list[str]:
    with reading(engine) as connection:
        return list(connection.scalars(select(usage_rejects.c.record)))


def test_a_late_record_finds_the_pseudonym(
    accounts: Accounts, erasures: Erasures, records: UsageRecords, clock: Clock
) -> None:
    """Of a call that was in flight; also handed in as a late one, days after."""
    accounts.create_account("ada", "free")
    in_flight, late = record(clock, "c1"), record(clock, "c2")
    erasure = erasures.begin("ada", Actor.USER)
    records.insert([in_flight])
    clock.advance(days=29)
    erasures.finish(erasure)
    records.insert([(late[0], True)])

    assert {"c1": erasure.pseudonym, "c2": erasure.pseudonym} == users(records)


def test_who_comes_back_is_somebody_else(
    accounts: Accounts, erasures: Erasures, records: UsageRecords, clock: Clock
) -> None:
    """After a minute the id may be used again; old records still go to the pseudonym, new ones to it."""
    accounts.create_account("ada", "free")
    old = record(clock, "old")
    erasure = erasures.begin("ada", Actor.OPERATOR)
    with pytest.raises(AccountExists, match="was erased a moment ago"):
        accounts.create_account("ada", "free")
    clock.advance(seconds=61)
    accounts.create_account("ada", "free")
    records.insert([old, record(clock, "new")])

    assert {"old": erasure.pseudonym, "new": "ada"} == users(records)


def test_an_erasure_that_was_interrupted_goes_on(
    accounts: Accounts, erasures: Erasures, records: UsageRecords, clock: Clock
) -> None:
    """It is known by its id until it is finished, and has the same pseudonym."""
    accounts.create_account("ada", "free")
    records.insert([record(clock, "c1")])
    begun = erasures.begin("ada", Actor.USER)
    again = erasures.begin("ada", Actor.OPERATOR)
    erasures.rename(again)

    assert begun == again
    assert [begun] == erasures.open()
    assert not erasures.finish(begun)  # workers may still know the key
    clock.advance(seconds=60)
    assert erasures.finish(begun)
    assert [] == erasures.open()
    with pytest.raises(AccountError, match="or it is erased already"):
        erasures.begin("ada", Actor.OPERATOR)


def test_who_does_not_exist_is_not_erased(erasures: Erasures, migrated: Engine) -> None:
    """One sentence, and nothing is changed."""
    before = everything(migrated)
    with pytest.raises(AccountError, match="There is no account nobody, and no record of it"):
        erasures.begin("nobody", Actor.CLI)

    assert before == everything(migrated)


def test_a_user_without_an_account_is_erased(erasures: Erasures, records: UsageRecords, clock: Clock) -> None:
    """Such as one the operator acted for; used again later, the id is itself."""
    records.insert([record(clock, "c1", "guest")])
    erasure = erasures.begin("guest", Actor.OPERATOR)
    erasures.rename(erasure)
    clock.advance(minutes=2)
    erasures.finish(erasure)
    records.insert([record(clock, "c2", "guest")])

    assert {"c1": erasure.pseudonym, "c2": "guest"} == users(records)


def test_workers_are_told_that_somebody_is_gone(accounts: Accounts, erasures: Erasures) -> None:
    """Although no row of theirs is left that could say so, and another one changed as well."""
    accounts.create_account("ada", "free")
    known = accounts.change_no()
    erasures.begin("ada", Actor.USER)
    accounts.create_account("bob", "free")

    assert ["", "bob"] == accounts.changed_accounts_since(known, 10)


def test_whom_an_id_became_is_forgotten_in_time(
    accounts: Accounts, erasures: Erasures, migrated: Engine, clock: Clock
) -> None:
    """When no record can be on its way any more."""
    accounts.create_account("ada", "free")
    erasure = erasures.begin("ada", Actor.USER)
    clock.advance(days=33)

    assert 0 == erasures.forget_expired()  # not finished yet
    erasures.finish(erasure)
    assert 1 == erasures.forget_expired()
    assert 0 == erasures.forget_expired()


def test_a_pseudonym_is_nobodys_account(accounts: Accounts, erasures: Erasures) -> None:
    """Neither made nor erased."""
    for refused in (lambda id: accounts.create_account(id, "free"), lambda id: erasures.begin(id, Actor.CLI)):
        with pytest.raises(AccountError, match="stands for an account that was erased"):
            refused("erased_" + "0" * 32)


def test_sums_follow_the_records(
    accounts: Accounts,
    erasures: Erasures,
    records: UsageRecords,
    migrated: Engine,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Those of records on their way go to the pseudonym at once, the others are added to them."""
    monkeypatch.setattr(rename_account, "__defaults__", (2,))
    accounts.create_account("ada", "free")
    records.insert([record(clock, f"c{number}") for number in range(5)])
    records.insert([record(clock, "d", outcome=Outcome.ABANDONED), record(clock, "e", "bob")])
    whole = UsageSums(migrated).total(Span())
    erasure = erasures.begin("ada", Actor.USER)
    records.insert([record(clock, "late"), (record(clock, "d")[0], True)])

    assert {"ada": 5, erasure.pseudonym: 2, "bob": 1} == calls_by_user(migrated)
    assert 5 == erasures.rename(erasure)
    assert {erasure.pseudonym: 7, "bob": 1} == calls_by_user(migrated)
    assert (whole.calls + 1, whole.prompt_tokens + 7) == told(UsageSums(migrated).total(Span()))
    assert 7 * 7 == UsageSums(migrated).total(Span(user_id=erasure.pseudonym)).prompt_tokens


def test_a_record_that_is_replaced_while_it_is_renamed_leaves_no_empty_sums(
    accounts: Accounts, erasures: Erasures, records: UsageRecords, migrated: Engine, clock: Clock
) -> None:
    """Its record has the pseudonym already, its sum has not: the two make up for each other in the end."""
    accounts.create_account("ada", "free")
    records.insert([record(clock, "a", outcome=Outcome.ABANDONED), record(clock, "b")])
    erasure = erasures.begin("ada", Actor.USER)
    with writing(migrated) as connection:
        assert 1 == rename_account(connection, "ada", erasure.pseudonym, limit=1)
    records.insert([(record(clock, "a")[0], True)])
    erasures.rename(erasure)
    with reading(migrated) as connection:
        rows = connection.execute(select(usage_daily.c.user_id, usage_daily.c.calls)).all()

    assert [(erasure.pseudonym, 2)] == [tuple(row) for row in rows]


def test_sums_without_records_are_erased(
    erasures: Erasures, records: UsageRecords, migrated: Engine, clock: Clock
) -> None:
    """Such as of one whose records were cleaned up."""
    records.insert([record(clock, "c", "guest")])
    clock.advance(days=500)
    Retention(migrated, 400, now=clock).clean()
    assert {"guest": 1} == calls_by_user(migrated)
    erasure = erasures.begin("guest", Actor.OPERATOR)

    assert 0 == erasures.rename(erasure)
    assert {erasure.pseudonym: 1} == calls_by_user(migrated)


def calls_by_user(engine: Engine) -> dict[str | None, int]:
    rows, _ = UsageSums(engine).page(Span(), (Group.USER,))
    return {row.group["user"]: row.sums.calls for row in rows}


def told(sums: Sums) -> tuple[int, int]:
    return sums.calls, sums.prompt_tokens


def test_every_table_with_account_ids_is_known() -> None:
    """One that is forgotten here would keep the ids of the erased."""
    elsewhere = {"api_keys", "audit_subjects", "erased_accounts", "key_places", "rollout_users", "watched"}
    holding = {
        t.name for t in metadata.sorted_tables for c in t.columns if c.name in ("user_id", "account_id")
    }

    assert holding - elsewhere == {holder.column.table.name for holder in HOLDERS}


def test_an_export_holds_all_there_is(
    accounts: Accounts, records: UsageRecords, migrated: Engine, clock: Clock
) -> None:
    """Account, keys without secrets, every record over all pages, and the log."""
    secret, key = accounts.issue_key("ada", "pro", "free")[:2]
    records.insert([record(clock, f"c{i:04}") for i in range(1_203)])
    records.insert([record(clock, "other", "bob")])
    text = "".join(Export(migrated, now=clock).pieces("ada"))
    told = json.loads(text)

    assert 1_203 == len({each["call_id"] for each in told["usage_records"]}) == len(told["usage_records"])
    assert [1_203] == [each["calls"] for each in told["usage_daily"]]
    assert [key.id] == [each["id"] for each in told["keys"]]
    assert ["key.create", "account.create"] == [each["action"] for each in told["audit"]]
    assert (False, "pro") == (told["consent"], told["account"]["tier"])
    assert secret not in text and "bob" not in text


def test_an_export_of_cleaned_up_records_still_has_the_sums(
    records: UsageRecords, migrated: Engine, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Page after page; also for an id that has no account."""
    monkeypatch.setattr(export, "PAGE", 2)
    for number in range(5):
        records.insert([record(clock, f"c{number}", "guest")])
        clock.advance(days=1)
    Retention(migrated, 0, now=clock).clean()
    told = json.loads("".join(Export(migrated, now=clock).pieces("guest")))

    assert [] == told["usage_records"]
    assert 5 == len({each["day"] for each in told["usage_daily"]}) == len(told["usage_daily"])


def test_nobody_has_no_export(migrated: Engine, clock: Clock) -> None:
    """One sentence before anything is sent."""
    with pytest.raises(AccountError, match="There is no account nobody"):
        next(Export(migrated, now=clock).pieces("nobody"))


def test_consent_keeps_its_first_moment(accounts: Accounts, clock: Clock) -> None:
    """Given twice it is from the first time on; taken back it is gone."""
    accounts.create_account("ada", "free")
    given = accounts.set_consent("ada", True).consented_at
    clock.advance(hours=1)

    assert clock() - timedelta(hours=1) == given == accounts.set_consent("ada", True).consented_at
    assert accounts.set_consent("ada", False).consented_at is None
