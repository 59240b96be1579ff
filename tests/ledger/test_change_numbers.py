"""The change number: how workers hear of every change."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, select

from scalix_callbacks.ledger.accounts import Accounts
from scalix_callbacks.ledger.database import reading
from scalix_callbacks.ledger.schema import accounts as account_rows

WRITERS, EACH = 8, 12


def test_a_new_database_has_seen_no_change(accounts: Accounts) -> None:
    """Zero, and nobody changed since."""
    assert 0 == accounts.change_no()
    assert [] == accounts.changed_accounts_since(0, 10)


@pytest.mark.parametrize(
    "change",
    [
        lambda accounts, key_id: accounts.set_tier("ada", "premium"),
        lambda accounts, key_id: accounts.set_budget("ada", 1),
        lambda accounts, key_id: accounts.override_limits("ada", []),
        lambda accounts, key_id: accounts.restore_limits("ada"),
        lambda accounts, key_id: accounts.suspend("ada"),
        lambda accounts, key_id: accounts.resume("ada"),
        lambda accounts, key_id: accounts.create_key("ada"),
        lambda accounts, key_id: accounts.issue_key("ada", None, "free"),
        lambda accounts, key_id: accounts.issue_key("ada", "premium", "free"),
        lambda accounts, key_id: accounts.revoke_key(key_id),
        lambda accounts, key_id: accounts.rotate_key(key_id),
    ],
)
def test_each_change_is_heard_of(accounts: Accounts, change: Callable[[Accounts, str], object]) -> None:
    """Whatever changes, the number rises by one and the account concerned is named."""
    accounts.create_account("bob", "free")
    accounts.create_account("ada", "pro")
    _, key = accounts.create_key("ada")
    change(accounts, key.id)

    assert 4 == accounts.change_no()
    assert ["ada"] == accounts.changed_accounts_since(3, 10)
    assert [] == accounts.changed_accounts_since(4, 10)


def test_changed_accounts_come_once_and_in_order(accounts: Accounts) -> None:
    """The longest unheard-of first, as many as asked for."""
    for name in ("cy", "ada", "bob"):
        accounts.issue_key(name, None, "free")
    accounts.create_key("cy")

    assert ["cy", "ada", "bob"] == accounts.changed_accounts_since(0, 10)
    assert ["ada", "bob", "cy"] == accounts.changed_accounts_since(1, 10)
    assert ["ada", "bob"] == accounts.changed_accounts_since(1, 2)


def test_no_change_is_missed_among_many_writers(accounts: Accounts, migrated: Engine) -> None:
    """A worker that reads the number while others write hears of every account."""

    def write(writer: int) -> None:
        for number in range(EACH):
            accounts.create_account(f"user-{writer}-{number}", "free")

    heard: set[str] = set()
    last = 0
    with ThreadPoolExecutor(WRITERS) as threads:
        writers = [threads.submit(write, writer) for writer in range(WRITERS)]
        while last < WRITERS * EACH and not any(each.done() and each.exception() for each in writers):
            now = accounts.change_no()
            heard.update(accounts.changed_accounts_since(last, 1_000))
            last = now
    for each in writers:
        each.result()
    with reading(migrated) as connection:
        numbers = list(connection.execute(select(account_rows.c.change_no).order_by("change_no")).scalars())

    assert list(range(1, WRITERS * EACH + 1)) == numbers
    assert {f"user-{writer}-{number}" for writer in range(WRITERS) for number in range(EACH)} == heard
