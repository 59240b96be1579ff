"""Brings records from the outbox to the ledger: nothing lost, nothing twice."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Generic, Protocol, TypeVar

MAX_BATCH = 500
BUSY_PAUSE_S = 0.5
"""After a batch that was not full: a little is left to gather, so that it is written in one transaction."""
LOOK_EVERY_S = 5.0
"""How often a worker looks that has put nothing there itself: others' records, should they have died."""
FIRST_BACKOFF_S = 1.0
MAX_BACKOFF_S = 5.0

_log = logging.getLogger("scalix.drain")


class Entry(Protocol):
    """One settled call on its way.

    Attributes:
        record: in the JSON form of `CallRecord`.
        is_counted: what the settling decided; it holds above the record's own `requests_counted`.
        is_late: it may replace a record that is there; see `UsageRecords.insert`.
    """

    @property
    def record(self) -> Mapping[str, Any]: ...

    @property
    def is_counted(self) -> bool: ...

    @property
    def is_late(self) -> bool: ...


_Entry = TypeVar("_Entry", bound=Entry)


class Outbox(Protocol[_Entry]):
    """Where settled records wait. What was read and not acknowledged is read again, by any worker."""

    async def read_outbox(self, limit: int) -> list[_Entry]: ...

    async def acknowledge(self, entries: list[_Entry]) -> object: ...


class Records(Protocol):
    """Where they are kept. A record that is there already changes nothing; see `UsageRecords.insert`."""

    def insert(self, records: Sequence[tuple[Mapping[str, Any], bool]]) -> int: ...


class Drainer(Generic[_Entry]):
    """One worker's part of the draining; any number of workers do it at once, each for all.

    It looks soon after its worker has said that a record is there (`wake`), and now and then by itself.

    An entry is acknowledged only after the transaction that holds its record is committed. Whatever fails,
    or is cut off, before that is read again; inserting is idempotent by `call_id`.

    Args:
        sleep: waits so many seconds.
        chance: a number from 0 to 1, so that the workers do not all ask at once.
    """

    def __init__(
        self,
        outbox: Outbox[_Entry],
        records: Records,
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._outbox = outbox
        self._records = records
        self._sleep = sleep
        self._chance = chance
        self._failures = 0
        self._has_come = asyncio.Event()
        # One batch at a time, in a thread of its own: a slow database must not take the threads of others.
        self._turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="scalix-drain")

    @property
    def is_failing(self) -> bool:
        """Whether the last try did not get through; records wait in the outbox then."""
        return self._failures > 0

    async def drain_once(self) -> int:
        """Moves up to `MAX_BATCH` entries; returns how many, 0 when the outbox is empty.

        Raises:
            Exception: what the outbox or the records raise; nothing is lost then.
        """
        async with self._turn:
            entries = await self._outbox.read_outbox(MAX_BATCH)
            if entries:
                batch = [(_record(entry), entry.is_late) for entry in entries]
                await asyncio.get_running_loop().run_in_executor(self._thread, self._records.insert, batch)
                await self._outbox.acknowledge(entries)
            return len(entries)

    def wake(self) -> None:
        """A record has come into the outbox."""
        self._has_come.set()

    async def run_forever(self) -> None:
        """Drains for as long as the worker lives; run it as a task. Only cancelling ends it."""
        while True:
            # First, so that what comes while it looks is not forgotten.
            self._has_come.clear()
            moved = await self._try()
            if moved == 0:
                await self._idle()
            await self._sleep(self._pause_s(moved))

    async def _idle(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_EVERY_S):
                await self._has_come.wait()

    async def drain_all(self, timeout_s: float) -> bool:
        """Drains until the outbox is empty; False when that did not succeed in time.

        For the end of a worker, when it settles nothing any more; other workers may go on.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while (moved := await self._try()) != 0:
                    if moved is None:
                        await self._sleep(self._pause_s(moved))
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        """Takes nothing more; a batch under way ends by itself, and is read again if it does not."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _try(self) -> int | None:
        """`drain_once`; None when it failed, which is told once per outage."""
        try:
            moved = await self.drain_once()
        except Exception as error:  # the outermost place: the worker must go on draining, whatever it was
            if self._failures == 0:
                _log.error(
                    "Records wait in the outbox, the ledger does not get them (%s: %s). It is tried again.",
                    type(error).__name__,
                    error,
                )
            self._failures += 1
            _log.debug("Draining failed %d times.", self._failures, exc_info=error)
            return None
        if self._failures:
            _log.warning("The ledger gets records again.")
        self._failures = 0
        return moved

    def _pause_s(self, moved: int | None) -> float:
        if moved is None:
            pause_s = min(FIRST_BACKOFF_S * 2.0 ** min(self._failures - 1, 10), MAX_BACKOFF_S)
        elif moved >= MAX_BATCH:
            return 0.0
        else:
            pause_s = BUSY_PAUSE_S
        return pause_s * (0.5 + self._chance())


def _record(entry: Entry) -> dict[str, Any]:
    return {**entry.record, "requests_counted": int(entry.is_counted)}
