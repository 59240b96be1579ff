"""A part of the page's figures, read at most every few seconds, however many pages are open."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from scalix_callbacks.ledger.errors import DatabaseError
from scalix_callbacks.store.errors import StoreLost

WAIT_S = 3.0
"""For how long a page waits; what takes longer is told when it is there."""
PATIENCE_FACTOR = 10.0
"""What takes long is asked seldom: reading takes a tenth of the time at most."""
MAX_PAUSE_S = 120.0


class Section:
    """One reading for all who ask meanwhile. What fails is told with what was known before.

    Args:
        every_s: how old what is told may be.
        elapsed: seconds that only grow.
        moment: the time, as it is told.
    """

    def __init__(
        self,
        read: Callable[[], Awaitable[Any]],
        every_s: float,
        elapsed: Callable[[], float],
        moment: Callable[[], str],
    ) -> None:
        self._read = read
        self._every_s = every_s
        self._elapsed = elapsed
        self._moment = moment
        self._due_at = float("-inf")
        self._task: asyncio.Task[None] | None = None
        self._data: Any = None
        self._as_of: str | None = None
        self._error: str | None = None

    async def get(self) -> dict[str, Any]:
        """`{"as_of", "data", "error"}`; `data` None: nothing was read yet; `error` None: it is fresh."""
        if self._elapsed() >= self._due_at and self._task is None:
            self._task = asyncio.create_task(self._read_once())
            self._task.add_done_callback(self._done)
        if (task := self._task) is not None:
            # Not awaited itself: a page that is closed must not end it for the others.
            await asyncio.wait({task}, timeout=WAIT_S)
            if not task.done():
                return self._told("This takes longer than usual; it is being read.")
        return self._told(self._error)

    @property
    def data(self) -> Any:
        """What was read last; None: nothing yet."""
        return self._data

    async def _read_once(self) -> None:
        began = self._elapsed()
        try:
            self._data, self._error = await self._read(), None
            self._as_of = self._moment()
        except DatabaseError:
            self._error = "The database does not answer."
        except StoreLost:
            self._error = "Redis does not answer."
        took_s = self._elapsed() - began
        self._due_at = self._elapsed() + min(max(self._every_s, took_s * PATIENCE_FACTOR), MAX_PAUSE_S)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if not task.cancelled() and task.exception() is not None:
            self._error = "This could not be read; see the gateway's log."
            self._due_at = self._elapsed() + self._every_s
            asyncio.get_running_loop().call_exception_handler(
                {"message": "reading for the status page failed", "exception": task.exception()}
            )

    def _told(self, error: str | None) -> dict[str, Any]:
        return {"as_of": self._as_of, "data": self._data, "error": error}
