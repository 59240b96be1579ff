"""Accounts and keys as one worker remembers them, so that a request costs no database query."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Collection, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from scalix_callbacks.ledger.accounts import Account, Accounts, Identity
from scalix_callbacks.ledger.erased_rows import ERASED
from scalix_callbacks.ledger.errors import DatabaseError
from scalix_callbacks.ledger.in_time import ask

POLL_S = 1.0
"""How often the change number is read. A revocation is seen after at most this and one query."""
MAX_ENTRIES = 50_000
MAX_CHANGES = 1_000
FRESH_S = 300.0
"""After this an entry is read again in the background, although nothing is known to have changed."""
STALE_S = 7_200.0
"""Until this an entry serves while the database is away."""
QUERY_THREADS = 4

_log = logging.getLogger("scalix.directory")
_Found = TypeVar("_Found", Identity, Account)
_Result = TypeVar("_Result")


class Directory:
    """Looks accounts and keys up, and forgets what has changed.

    Unknown keys are remembered, too, until anything changes, so that a bad key costs one query.
    Bounded: `MAX_ENTRIES` each of keys and accounts, the longest unused goes first.

    Args:
        monotonic: a clock in seconds.
    """

    def __init__(self, accounts: Accounts, monotonic: Callable[[], float]) -> None:
        self._accounts = accounts
        self._monotonic = monotonic
        self._readers = ThreadPoolExecutor(QUERY_THREADS, thread_name_prefix="scalix-sql")
        # Of its own: a flood of unknown keys must not hold up a revocation.
        self._poller = ThreadPoolExecutor(1, thread_name_prefix="scalix-sql-poll")
        self._keys = _Memory[Identity](self._reading(accounts.find_key), monotonic)
        self._by_id = _Memory[Account](self._reading(accounts.find_account), monotonic)
        self._change_no: int | None = None
        self._polled_at: float | None = None

    async def find_key(self, key_hash: str) -> Identity | None:
        """The key with this SHA-256, in whatever state; None when there is none.

        Raises:
            DatabaseError: it is not remembered and the database does not answer.
        """
        return await self._keys.find(key_hash)

    async def find_account(self, account_id: str) -> Account | None:
        """The account; None when there is none. Raises as `find_key` does."""
        return await self._by_id.find(account_id)

    @property
    def silent_s(self) -> float | None:
        """Seconds since the database last answered the poll; None before the first answer."""
        return None if self._polled_at is None else self._monotonic() - self._polled_at

    async def poll_forever(self) -> None:
        """Keeps what is remembered true; run it as a task for as long as the worker lives."""
        was_lost = False
        while True:
            try:
                await self.poll()
                if was_lost:
                    _log.warning("The database answers again.")
                was_lost = False
            except DatabaseError as error:
                if not was_lost:
                    _log.error("The database does not answer; known keys go on working. %s", error)
                was_lost = True
            except Exception:
                _log.exception("Polling the database failed; it is tried again.")
            await asyncio.sleep(POLL_S)

    async def poll(self) -> None:
        """Reads the change number and forgets the accounts changed since the last time.

        Raises:
            DatabaseError: the database does not answer.
        """
        change_no = await ask(self._poller, self._accounts.change_no)
        known = self._change_no
        if known is None or change_no < known:
            # What was read before the first poll, or of a database that was set back since, may be anything.
            self.forget_all()
        elif change_no > known:
            changed = await ask(
                self._poller, partial(self._accounts.changed_accounts_since, known, MAX_CHANGES)
            )
            if 0 < len(changed) < MAX_CHANGES and ERASED not in changed:
                self._forget(frozenset(changed))
            else:
                self.forget_all()
        self._change_no = change_no
        self._polled_at = self._monotonic()

    def forget_all(self) -> None:
        """Reads everything anew on its next use: for a change made by this very worker."""
        self._keys.forget(lambda _: True)
        self._by_id.forget(lambda _: True)

    def close(self) -> None:
        """Waits for the queries under way, which end by themselves: each gives its connection back."""
        for threads in (self._readers, self._poller):
            threads.shutdown(wait=False, cancel_futures=True)
        for threads in (self._readers, self._poller):
            threads.shutdown(wait=True)

    def _forget(self, account_ids: Collection[str]) -> None:
        self._keys.forget(lambda entry: entry.found is None or entry.found.account.id in account_ids)
        self._by_id.forget(lambda entry: entry.name in account_ids)

    def _reading(self, read: Callable[[str], _Result]) -> Callable[[str], Coroutine[Any, Any, _Result]]:
        return lambda name: ask(self._readers, partial(read, name))


@dataclass(frozen=True, slots=True)
class _Entry(Generic[_Found]):
    name: str
    found: _Found | None
    read_at: float


_Reads = Callable[[str], Coroutine[Any, Any, _Found | None]]


class _Memory(Generic[_Found]):
    """Things of one kind by name, each read once for any number of requests that wait for it."""

    def __init__(self, read: _Reads[_Found], monotonic: Callable[[], float]) -> None:
        self._read: _Reads[_Found] = read
        self._monotonic = monotonic
        self._entries: OrderedDict[str, _Entry[_Found]] = OrderedDict()
        self._reading: dict[str, asyncio.Task[_Found | None]] = {}

    async def find(self, name: str) -> _Found | None:
        entry = self._entries.get(name)
        if entry is not None:
            age_s = self._monotonic() - entry.read_at
            if age_s < FRESH_S or (entry.found is not None and age_s < STALE_S):
                self._entries.move_to_end(name)
                if age_s >= FRESH_S:
                    self._read_once(name)  # nobody waits for it, nor minds when the database is away
                return entry.found
        return await asyncio.shield(self._read_once(name))

    def forget(self, is_gone: Callable[[_Entry[_Found]], bool]) -> None:
        for entry in [entry for entry in self._entries.values() if is_gone(entry)]:
            del self._entries[entry.name]
        # Whatever is being read may be the old state: it is told to those who wait, and not kept.
        self._reading.clear()

    def _read_once(self, name: str) -> asyncio.Task[_Found | None]:
        task = self._reading.get(name)
        if task is None:
            task = asyncio.create_task(self._read(name))
            self._reading[name] = task
            task.add_done_callback(partial(self._read_done, name))
        return task

    def _read_done(self, name: str, task: asyncio.Task[_Found | None]) -> None:
        is_forgotten = self._reading.get(name) is not task
        if not is_forgotten:
            del self._reading[name]
        # All who waited may have gone; an exception nobody fetches would be reported as lost.
        if task.cancelled() or task.exception() is not None or is_forgotten:
            return
        self._entries[name] = _Entry(name, task.result(), self._monotonic())
        self._entries.move_to_end(name)
        while len(self._entries) > MAX_ENTRIES:
            self._entries.popitem(last=False)
