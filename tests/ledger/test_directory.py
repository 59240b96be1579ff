"""What a worker remembers of accounts and keys, and when it forgets."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Protocol

import pytest
from sqlalchemy import Engine, event

from scalix_callbacks.core.keys import hash_key, new_key
from scalix_callbacks.ledger import directory as module
from scalix_callbacks.ledger import in_time
from scalix_callbacks.ledger.accounts import Account, Accounts, Identity
from scalix_callbacks.ledger.audit import Actor
from scalix_callbacks.ledger.database import DatabaseError
from scalix_callbacks.ledger.directory import Directory
from scalix_callbacks.ledger.erasures import Erasures

DEADLINE_S = 10.0


class Clock(Protocol):
    """The fixture `clock`."""

    moment: datetime

    def __call__(self) -> datetime: ...
    def advance(self, **by: float) -> None: ...


class Watched:
    """The real accounts, with every lookup noted; it can be held up, or fail."""

    def __init__(self, accounts: Accounts) -> None:
        self.accounts = accounts
        self.asked: list[str] = []
        self.is_away = False
        self.has_read = threading.Event()
        self.may_answer = threading.Event()
        self.may_answer.set()

    def find_key(self, key_hash: str) -> Identity | None:
        return self._ask(key_hash, self.accounts.find_key)

    def find_account(self, account_id: str) -> Account | None:
        return self._ask(account_id, self.accounts.find_account)

    def change_no(self) -> int:
        if self.is_away:
            raise DatabaseError("The database is away.")
        return self.accounts.change_no()

    def changed_accounts_since(self, change_no: int, limit: int) -> list[str]:
        return self.accounts.changed_accounts_since(change_no, limit)

    def _ask(self, name: str, read: Callable[[str], Any]) -> Any:
        self.asked.append(name)
        if self.is_away:
            raise DatabaseError("The database is away.")
        found = read(name)
        self.has_read.set()
        assert self.may_answer.wait(DEADLINE_S)
        return found


@pytest.fixture
def watched(accounts: Accounts) -> Watched:
    return Watched(accounts)


@pytest.fixture
def monotonic(clock: Clock) -> Callable[[], float]:
    began = clock.moment
    return lambda: (clock.moment - began).total_seconds()


@pytest.fixture
def directory(watched: Watched, monotonic: Callable[[], float]) -> Iterator[Directory]:
    directory = Directory(watched, monotonic)  # type: ignore[arg-type]  # the same methods
    yield directory
    watched.may_answer.set()
    close(directory)


def close(directory: Directory) -> None:
    """Also waits for its threads: one still asking would bring its connection back to a pool that is gone."""
    directory.close()
    for thread in [*directory._readers._threads, *directory._poller._threads]:
        thread.join(DEADLINE_S)


@pytest.fixture
def key(accounts: Accounts) -> str:
    """The hash of a key of the pro account `ada`."""
    secret, _, _ = accounts.issue_key("ada", "pro", "free")
    return hash_key(secret)


def key_id(accounts: Accounts, key_hash: str) -> str:
    identity = accounts.find_key(key_hash)
    assert identity is not None
    return identity.key.id


async def wait_until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - of other threads, which set no asyncio.Event
            await asyncio.sleep(0.001)


async def is_revoked(directory: Directory, key_hash: str) -> bool:
    identity = await directory.find_key(key_hash)
    assert identity is not None
    return identity.key.revoked_at is not None


async def test_what_is_found_is_what_is_stored(directory: Directory, accounts: Accounts, key: str) -> None:
    """Key, account, and nothing for what there is not."""
    assert accounts.find_key(key) == await directory.find_key(key)
    assert accounts.find_account("ada") == await directory.find_account("ada")
    assert await directory.find_key("0" * 64) is None
    assert await directory.find_account("nobody") is None


async def test_a_request_costs_no_query(directory: Directory, watched: Watched, key: str) -> None:
    """Only the first one of a key does, and of an account."""
    for _ in range(100):
        await directory.find_key(key)
        await directory.find_account("ada")

    assert [key, "ada"] == watched.asked


async def test_a_request_costs_no_sql_at_all(directory: Directory, engine: Engine, key: str) -> None:
    """Seen at the database driver itself."""
    await directory.find_key(key)
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    await directory.find_key(key)

    assert [] == statements


async def test_a_hundred_requests_at_once_are_one_query(
    directory: Directory, watched: Watched, key: str
) -> None:
    """A client that opens many connections does not open as many queries."""
    watched.may_answer.clear()
    asking = [asyncio.create_task(directory.find_key(key)) for _ in range(100)]
    await wait_until(watched.has_read.is_set)
    watched.may_answer.set()
    found = await asyncio.gather(*asking)

    assert [key] == watched.asked
    assert {"ada"} == {identity.account.id for identity in found if identity}


async def test_one_who_leaves_does_not_take_the_answer_along(
    directory: Directory, watched: Watched, key: str
) -> None:
    """The request that asked first may be cancelled; the others get what they wait for."""
    watched.may_answer.clear()
    first, second = (asyncio.create_task(directory.find_key(key)) for _ in range(2))
    await wait_until(watched.has_read.is_set)
    first.cancel()
    watched.may_answer.set()

    assert (await second) is not None
    assert [key] == watched.asked


async def test_a_bad_key_costs_one_query(directory: Directory, watched: Watched) -> None:
    """However often it is tried."""
    for _ in range(100):
        assert await directory.find_key("0" * 64) is None

    assert ["0" * 64] == watched.asked


async def test_a_bad_key_that_becomes_good_is_seen_after_a_poll(
    directory: Directory, accounts: Accounts, watched: Watched
) -> None:
    """Nobody who was too early with an account's name waits five minutes."""
    await directory.poll()
    assert await directory.find_account("bob") is None
    accounts.create_account("bob", "pro")
    await directory.poll()

    assert (await directory.find_account("bob")) == accounts.find_account("bob")


async def test_a_bad_key_is_asked_for_again_after_any_change(
    directory: Directory, migrated: Engine, watched: Watched
) -> None:
    """It may be the very key that was made."""
    accounts = Accounts(migrated, random_bytes=bytes)
    to_be = hash_key(new_key(bytes(32)))
    await directory.poll()
    assert await directory.find_key(to_be) is None
    accounts.issue_key("bob", "free", "free")
    await directory.poll()

    assert (await directory.find_key(to_be)) == accounts.find_key(to_be) is not None


async def test_a_revocation_by_another_worker_is_seen_after_a_poll(
    directory: Directory, accounts: Accounts, monotonic: Callable[[], float], key: str
) -> None:
    """Two workers, one database: the second hears of what the first one changed."""
    other = Directory(accounts, monotonic)
    try:
        await directory.poll()
        await other.poll()
        assert not await is_revoked(other, key)
        accounts.revoke_key(key_id(accounts, key))
        directory.forget_all()
        before = (await is_revoked(directory, key), await is_revoked(other, key))
        await other.poll()

        assert ((True, False), True) == (before, await is_revoked(other, key))
    finally:
        close(other)


async def test_others_are_still_remembered_after_a_change(
    directory: Directory, accounts: Accounts, watched: Watched, key: str
) -> None:
    """A change of one account costs the others nothing."""
    secret, _, _ = accounts.issue_key("bob", "free", "free")
    await directory.poll()
    await directory.find_key(key)
    await directory.find_key(hash_key(secret))
    accounts.set_tier("bob", "premium")
    await directory.poll()
    watched.asked.clear()
    bob, ada = await directory.find_key(hash_key(secret)), await directory.find_key(key)

    assert bob is not None and ada is not None
    assert ("premium", "pro") == (bob.account.tier, ada.account.tier)
    assert [hash_key(secret)] == watched.asked


async def test_what_was_read_before_the_first_poll_is_read_again(
    directory: Directory, accounts: Accounts, key: str
) -> None:
    """A revocation between a worker's first request and its first poll is not missed."""
    assert not await is_revoked(directory, key)
    accounts.revoke_key(key_id(accounts, key))
    await directory.poll()

    assert await is_revoked(directory, key)


async def test_a_change_that_races_a_lookup_is_not_kept_stale(
    directory: Directory, accounts: Accounts, watched: Watched, key: str
) -> None:
    """Read before the revocation, answered after it was heard of: told once, and never again."""
    await directory.poll()
    watched.may_answer.clear()
    early = asyncio.create_task(directory.find_key(key))
    await wait_until(watched.has_read.is_set)
    accounts.revoke_key(key_id(accounts, key))
    await directory.poll()
    late = asyncio.create_task(directory.find_key(key))  # must not join the lookup that read the old state
    await wait_until(lambda: 2 == len(watched.asked))
    watched.may_answer.set()
    old, new = await early, await late

    assert old is not None and new is not None
    assert (None, False) == (old.key.revoked_at, new.key.revoked_at is None)
    assert await is_revoked(directory, key)


async def test_many_changes_at_once_forget_everything(
    directory: Directory, accounts: Accounts, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list of changed accounts is bounded; beyond it nothing is trusted."""
    monkeypatch.setattr(module, "MAX_CHANGES", 2)
    await directory.poll()
    await directory.find_key(key)
    accounts.create_account("a", "free")
    accounts.create_account("b", "free")
    accounts.revoke_key(key_id(accounts, key))
    await directory.poll()

    assert await is_revoked(directory, key)


async def test_a_database_that_was_set_back_forgets_everything(
    directory: Directory, accounts: Accounts, watched: Watched, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a restore from a backup the change number is lower than the one known."""
    await directory.poll()
    await directory.find_key(key)
    monkeypatch.setattr(accounts, "change_no", lambda: 0)
    await directory.poll()
    watched.asked.clear()
    await directory.find_key(key)

    assert [key] == watched.asked


async def test_a_change_whose_account_is_gone_forgets_everything(
    directory: Directory, accounts: Accounts, watched: Watched, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number moved and nobody changed: somebody was erased."""
    await directory.poll()
    await directory.find_key(key)
    known = accounts.change_no()
    monkeypatch.setattr(accounts, "change_no", lambda: known + 1)
    await directory.poll()
    watched.asked.clear()
    await directory.find_key(key)

    assert [key] == watched.asked


async def test_after_five_minutes_a_key_is_read_again_in_the_background(
    directory: Directory, watched: Watched, clock: Clock, key: str
) -> None:
    """One second before it is not; nobody waits for it."""
    await directory.find_key(key)
    clock.advance(seconds=299)
    await directory.find_key(key)
    assert 1 == len(watched.asked)
    clock.advance(seconds=1)
    watched.may_answer.clear()
    found = await asyncio.gather(*(directory.find_key(key) for _ in range(10)))
    watched.may_answer.set()
    await wait_until(lambda: 2 == len(watched.asked))
    await wait_until(lambda: not directory._keys._reading)
    clock.advance(seconds=299)
    await directory.find_key(key)

    assert all(found)
    assert [key, key] == watched.asked


async def test_after_five_minutes_a_bad_key_is_asked_for_again(
    directory: Directory, watched: Watched, clock: Clock
) -> None:
    """For the case that the change was missed."""
    await directory.find_key("0" * 64)
    clock.advance(seconds=300)
    await directory.find_key("0" * 64)

    assert 2 == len(watched.asked)


async def test_while_the_database_is_away_known_keys_go_on(
    directory: Directory, watched: Watched, clock: Clock, key: str
) -> None:
    """For two hours, at once and without an error; then the gateway says that it cannot tell."""
    await directory.find_key(key)
    watched.is_away = True
    clock.advance(seconds=7_199)
    assert await directory.find_key(key) is not None
    await wait_until(lambda: not directory._keys._reading)
    clock.advance(seconds=1)

    with pytest.raises(DatabaseError):
        await directory.find_key(key)


async def test_while_the_database_is_away_unknown_keys_cannot_be_told(
    directory: Directory, watched: Watched
) -> None:
    """Neither a key never seen nor one that was unknown five minutes ago is called wrong."""
    watched.is_away = True
    with pytest.raises(DatabaseError):
        await directory.find_key("0" * 64)
    with pytest.raises(DatabaseError):
        await asyncio.gather(*(directory.find_account("ada") for _ in range(3)))


async def test_a_failed_lookup_is_not_remembered(directory: Directory, watched: Watched, key: str) -> None:
    """As soon as the database answers again, the key works."""
    watched.is_away = True
    with pytest.raises(DatabaseError):
        await directory.find_key(key)
    watched.is_away = False

    assert await directory.find_key(key) is not None


async def test_a_database_that_hangs_is_given_up(
    directory: Directory, watched: Watched, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request does not hang along."""
    monkeypatch.setattr(in_time, "QUERY_TIMEOUT_S", 0.05)
    watched.may_answer.clear()
    with pytest.raises(DatabaseError, match="did not answer within"):
        await directory.find_key(key)


async def test_a_flood_of_lookups_does_not_hold_up_the_poll(
    directory: Directory, watched: Watched, accounts: Accounts
) -> None:
    """Revocations are heard of while every reading thread is busy."""
    watched.may_answer.clear()
    flood = [asyncio.create_task(directory.find_key(f"{i:064}")) for i in range(50)]
    await wait_until(lambda: module.QUERY_THREADS == len(watched.asked))
    await directory.poll()
    silent_s = directory.silent_s
    watched.may_answer.set()
    await asyncio.gather(*flood)

    assert 0.0 == silent_s


async def test_what_is_remembered_is_bounded(
    directory: Directory, watched: Watched, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The longest unused goes first: bad keys do not push out one that is in use."""
    monkeypatch.setattr(module, "MAX_ENTRIES", 3)
    await directory.find_key(key)
    for i in range(10):
        await directory.find_key(f"{i:064}")
        await directory.find_key(key)
    assert 1 == watched.asked.count(key)
    watched.asked.clear()
    await directory.find_key(f"{9:064}")
    await directory.find_key(f"{8:064}")
    await directory.find_key(key)
    assert [] == watched.asked
    await directory.find_key(f"{0:064}")

    assert [f"{0:064}"] == watched.asked


async def test_the_silence_of_the_database_is_measured(
    directory: Directory, watched: Watched, clock: Clock
) -> None:
    """Unknown before its first answer; then since the last one."""
    assert directory.silent_s is None
    await directory.poll()
    clock.advance(seconds=61)
    watched.is_away = True
    with pytest.raises(DatabaseError):
        await directory.poll()

    assert 61.0 == directory.silent_s


async def test_the_poll_goes_on_whatever_happens(
    directory: Directory,
    accounts: Accounts,
    watched: Watched,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Away, broken, back: told once each in the log, and then it works as before."""
    monkeypatch.setattr(module, "POLL_S", 0.001)
    failures: list[Exception] = [DatabaseError("away 1"), DatabaseError("away 2"), RuntimeError("a bug")]
    polls = []

    def change_no() -> int:
        polls.append(1)
        if failures:
            raise failures.pop(0)
        return accounts.change_no()

    monkeypatch.setattr(watched, "change_no", change_no)
    task = asyncio.create_task(directory.poll_forever())
    await wait_until(lambda: directory.silent_s is not None and len(polls) > 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert [
        "The database does not answer; known keys go on working. away 1",
        "Polling the database failed; it is tried again.",
        "The database answers again.",
    ] == [record.message for record in caplog.records if record.name == "scalix.directory"]


async def test_closing_ends_the_threads(watched: Watched, monotonic: Callable[[], float], key: str) -> None:
    """A worker that stops leaves nothing behind."""
    directory = Directory(watched, monotonic)  # type: ignore[arg-type]  # the same methods
    await directory.find_key(key)
    await directory.poll()
    threads = [*directory._readers._threads, *directory._poller._threads]
    directory.close()

    await wait_until(lambda: not any(thread.is_alive() for thread in threads))


async def test_an_erased_key_is_forgotten_although_another_account_changed_too(
    directory: Directory, accounts: Accounts, migrated: Engine, clock: Clock, key: str
) -> None:
    """Nothing is left of it that a change number could stand in."""
    await directory.poll()
    assert await directory.find_key(key) is not None
    Erasures(migrated, now=clock).begin("ada", Actor.USER)
    accounts.create_account("bob", "free")
    await directory.poll()

    assert await directory.find_key(key) is None
