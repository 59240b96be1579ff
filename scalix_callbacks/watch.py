"""What one worker notices about keys and refusals, until the audit log has it; no request waits for that."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import Any, Protocol

from scalix_callbacks.core.caller import OPERATOR_ID, Caller
from scalix_callbacks.core.places import Network, client_address, network_of
from scalix_callbacks.core.policy import Policy, Refused, Sighting, UsedFrom
from scalix_callbacks.rounds import go_round

WRITE_EVERY_S = 2.0
MAX_WAITING = 10_000
"""Different sightings between two writes; beyond, they are dropped and counted."""
MAX_SEEN = 50_000
"""Keys with a network that are remembered within an hour, so that each is told once."""
BATCH = 200
_HOUR_S = 3_600

_log = logging.getLogger("scalix.watch")


class WritesSightings(Protocol):
    """`Sightings`; both raise DatabaseError."""

    def write(self, sightings: Mapping[Sighting, int], dropped: int) -> None: ...

    def forget_old(self) -> None: ...


class Watch:
    """Collects in memory, and writes in the background.

    Args:
        trusted: the networks of proxies whose `X-Forwarded-For` is believed.
        now_s: the clock, in Unix seconds.
    """

    def __init__(
        self,
        log: WritesSightings,
        *,
        trusted: Sequence[Network],
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._sightings = log
        self._trusted = trusted
        self._now_s = now_s
        self._waiting: dict[Sighting, int] = {}
        self._seen: set[tuple[str, str | None]] = set()
        self._hour: int | None = None
        self._dropped = 0
        self._told_dropped_in: int | None = None
        self._cleaned_in: int | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="scalix-watch")

    @property
    def waiting(self) -> int:
        """Different sightings that are not written yet."""
        return len(self._waiting)

    @property
    def dropped(self) -> int:
        """Sightings beyond the bound of which the log does not know yet."""
        return self._dropped

    def used(self, caller: Caller, peer: str | None, forwarded_for: str | None = None) -> None:
        """A valid key was used.

        Args:
            caller: whose it is.
            peer, forwarded_for: as `core.places.client_address` takes them.
        """
        hour = int(self._now_s()) // _HOUR_S
        if hour != self._hour:
            self._hour = hour
            self._seen.clear()
        key_id = caller.key_id or OPERATOR_ID
        mark = key_id, client_address(peer, forwarded_for, self._trusted)
        if mark in self._seen:
            return
        network = network_of(mark[1])
        if network is None:
            return
        if len(self._seen) >= MAX_SEEN:
            self._dropped += 1
            return
        self._seen.add(mark)
        self._add(UsedFrom(caller.id, key_id, network), 1)

    def refused(self, account_id: str, policy: Policy) -> None:
        """An account was refused by a policy."""
        self._add(Refused(account_id, policy), 1)

    async def write(self) -> None:
        """Hand all that waits to the log.

        Raises:
            Exception: what the database raises; what was not written waits on.
        """
        while self._waiting or self._is_to_tell_dropped():
            batch = dict(islice(self._waiting.items(), BATCH))
            for sighting in batch:
                del self._waiting[sighting]
            dropped = self._dropped if self._is_to_tell_dropped() else 0
            self._dropped -= dropped
            try:
                await self._in_thread(partial(self._sightings.write, batch, dropped))
            except BaseException:
                # Also when cancelled: should it have been written after all, it is counted once more.
                self._dropped += dropped
                for sighting, count in batch.items():
                    self._add(sighting, count)
                raise
            if dropped:
                self._told_dropped_in = self._this_hour()

    async def run_forever(self) -> None:
        """`write` every `WRITE_EVERY_S`; run it as a task for as long as the worker lives."""

        def failed(error: Exception, is_first: bool) -> None:
            if is_first:
                _log.error("The audit log waits for what was noticed (%s).", type(error).__name__)

        await go_round(self._write_and_clean, WRITE_EVERY_S, failed)

    async def _write_and_clean(self) -> None:
        await self.write()
        if self._cleaned_in != self._this_hour():
            await self._in_thread(self._sightings.forget_old)
            self._cleaned_in = self._this_hour()

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _add(self, sighting: Sighting, count: int) -> None:
        if sighting in self._waiting:
            self._waiting[sighting] += count
        elif len(self._waiting) < MAX_WAITING:
            self._waiting[sighting] = count
        else:
            self._dropped += count

    def _this_hour(self) -> int:
        return int(self._now_s()) // _HOUR_S

    def _is_to_tell_dropped(self) -> bool:
        """Once an hour, for who floods the watch must not flood the log."""
        return self._dropped > 0 and self._told_dropped_in != self._this_hour()

    async def _in_thread(self, work: Callable[[], Any]) -> Any:
        # A thread of its own: a slow database must not take the threads of others.
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
