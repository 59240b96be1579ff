"""Erases a person everywhere: in SQL, on the way there, and in Redis; goes on with what was interrupted."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from scalix_callbacks.ledger.audit import Actor
from scalix_callbacks.ledger.erasures import Erasure, Erasures
from scalix_callbacks.ledger.retention import BATCH
from scalix_callbacks.rounds import go_round
from scalix_callbacks.store.errors import StoreLost

LOOK_EVERY_S = 30.0
CLEAN_EVERY_S = 3_600.0
BATCH_PAUSE_S = 1.0
DRAIN_TIMEOUT_S = 5.0

_log = logging.getLogger("scalix.erasing")


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure has done so far.

    Attributes:
        records: how many got the pseudonym just now.
        is_complete: False: what is in Redis could not be reached; the workers go on with it by themselves.
    """

    pseudonym: str
    records: int
    is_complete: bool

    def to_json(self, user_id: str) -> dict[str, Any]:
        """As the API and the command line tell it."""
        return {
            "user_id": user_id,
            "erased": True,
            "pseudonym": self.pseudonym,
            "records": self.records,
            "is_complete": self.is_complete,
        }


class Counters(Protocol):
    """Where accounts are counted; raises StoreLost."""

    async def reset(self, account_id: str) -> object: ...


class CleansUp(Protocol):
    """`Retention`; raises DatabaseError."""

    def clean(self) -> int: ...


class Eraser:
    """Erases at once what it can, and the rest in the background.

    Args:
        drain: brings what waits in the outbox to the ledger, within so many seconds, as far as it can.
        retention: cleans up old records, a batch at a time.
        forget_answers: takes the cached answers of an account out of Redis; raises StoreLost.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        erasures: Erasures,
        counters: Counters,
        drain: Callable[[float], Awaitable[object]],
        retention: CleansUp,
        *,
        forget_answers: Callable[[str], Awaitable[object]] | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._erasures = erasures
        self._counters = counters
        self._drain = drain
        self._retention = retention
        self._forget_answers = forget_answers
        self._sleep = sleep
        self._clean_in_s = 0.0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="scalix-erase")

    async def erase(self, account_id: str, actor: Actor) -> Erased:
        """Erase who has this id; may be repeated until it succeeded.

        Raises:
            AccountError: nothing is known of anybody of this id.
            DatabaseError: it may have begun; then the workers go on with it.
        """
        erasure = await self._in_thread(partial(self._erasures.begin, account_id, actor))
        return await self._go_on(erasure)

    async def look(self) -> None:
        """Go on with all erasures under way, and forget what is over.

        Raises:
            DatabaseError: the database fails; the next look goes on.
        """
        for erasure in await self._in_thread(self._erasures.open):
            if (await self._go_on(erasure)).is_complete:
                await self._in_thread(partial(self._erasures.finish, erasure))
        await self._in_thread(self._erasures.forget_expired)

    async def clean(self) -> int:
        """Remove records that are too old, in small batches with a pause between them; returns how many."""
        removed = 0
        while True:
            count: int = await self._in_thread(self._retention.clean)
            removed += count
            if count < BATCH:
                return removed
            await self._sleep(BATCH_PAUSE_S)

    async def run_forever(self) -> None:
        """`look` and now and then `clean`; run it as a task for as long as the worker lives."""

        def failed(error: Exception, is_first: bool) -> None:
            if is_first:
                _log.error("Erasing and cleaning up wait (%s).", type(error).__name__)

        await go_round(self._look_and_clean, LOOK_EVERY_S, failed, sleep=self._sleep)

    async def _look_and_clean(self) -> None:
        self._clean_in_s -= LOOK_EVERY_S
        await self.look()
        if self._clean_in_s <= 0:
            self._clean_in_s = CLEAN_EVERY_S
            if removed := await self.clean():
                _log.warning("%d records were older than they are kept and were removed.", removed)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _go_on(self, erasure: Erasure) -> Erased:
        await self._drain(DRAIN_TIMEOUT_S)
        records: int = await self._in_thread(partial(self._erasures.rename, erasure))
        try:
            await self._counters.reset(erasure.account_id)
            if self._forget_answers is not None:
                await self._forget_answers(erasure.account_id)
        except StoreLost:
            return Erased(erasure.pseudonym, records, is_complete=False)
        return Erased(erasure.pseudonym, records, is_complete=True)

    async def _in_thread(self, work: Callable[[], Any]) -> Any:
        # A thread of its own: a slow database must not take the threads of others.
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
