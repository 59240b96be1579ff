"""Records of the calls this worker settled, kept until the ledger has them: what Redis loses is not lost."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

from scalix_callbacks.rounds import go_round

LOOK_EVERY_S = 5.0
HAND_IN_AFTER_S = 30.0
"""How long the outbox may take before a record is handed in by another way."""
MAX_KEPT = 20_000
"""Beyond, the oldest is left to the outbox alone; about 50 MB."""
_BATCH = 500

_log = logging.getLogger("scalix.kept")


class Records(Protocol):
    """The ledger; both raise when the database fails."""

    def missing(self, call_ids: Collection[str]) -> set[str]: ...

    def insert(self, records: Sequence[tuple[Mapping[str, Any], bool]]) -> int: ...


@dataclass(slots=True)
class _Kept:
    since_s: float
    record: Mapping[str, Any]


class Kept:
    """Looks now and then which of its records the ledger has, and hands in itself what did not arrive.

    Args:
        elapsed: seconds that only grow.
    """

    def __init__(self, records: Records, *, elapsed: Callable[[], float] = time.monotonic) -> None:
        self._records = records
        self._elapsed = elapsed
        self._kept: dict[str, _Kept] = {}  # by call id, oldest first
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="scalix-kept")

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, record: Mapping[str, Any]) -> None:
        """Args: record: in the JSON form of `CallRecord`; a later one of the same call takes its place."""
        call_id = record["call_id"]
        self._kept[call_id] = _Kept(self._elapsed(), record)
        if len(self._kept) > MAX_KEPT:
            self._kept.pop(next(iter(self._kept)))

    async def look(self, *, is_last: bool = False) -> None:
        """Forgets what the ledger has, and hands in what it should have by now; `is_last`: all of it.

        Raises:
            Exception: what the database raises; everything is kept then.
        """
        now_s = self._elapsed()
        least_age_s = 0.0 if is_last else LOOK_EVERY_S
        old = [call_id for call_id, kept in self._kept.items() if now_s - kept.since_s >= least_age_s]
        for start in range(0, len(old), _BATCH):
            batch = old[start : start + _BATCH]
            missing = await self._in_thread(self._records.missing, batch)
            late = [
                call_id
                for call_id in missing
                if call_id in self._kept
                and (is_last or now_s - self._kept[call_id].since_s >= HAND_IN_AFTER_S)
            ]
            if late:
                # As late ones: should the call have been given up meanwhile, this is what it really was.
                rows = [(self._kept[call_id].record, True) for call_id in late]
                await self._in_thread(self._records.insert, rows)
            for call_id in set(batch) - missing | set(late):
                self._kept.pop(call_id, None)

    def hand_in(self) -> None:
        """All of it at once, for the exit of a process that nobody ended in order; waits for the database."""
        if self._kept:
            self._records.insert([(kept.record, True) for kept in self._kept.values()])

    async def run_forever(self) -> None:
        """`look` every `LOOK_EVERY_S`; run it as a task for as long as the worker lives."""

        def failed(error: Exception, is_first: bool) -> None:
            if is_first:
                _log.error("The ledger cannot be asked what it has (%s).", type(error).__name__)

        await go_round(self.look, LOOK_EVERY_S, failed)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, work: Callable[[Any], Any], argument: Any) -> Any:
        # A thread of its own: a slow database must not take the threads of others.
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, argument)
