"""Reads the database for the page in threads of its own: a slow one holds up nothing else."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from scalix_callbacks.ledger.errors import DatabaseError

THREADS = 2
TIMEOUT_S = 10.0


class Readers:
    """At most `THREADS` reads at once; the others wait, and none waits longer than `timeout_s`."""

    def __init__(self, timeout_s: float = TIMEOUT_S) -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="scalix-page")
        self._timeout_s = timeout_s

    async def read(self, read: Callable[..., Any], *arguments: Any) -> Any:
        """Raises DatabaseError also where no answer comes in time."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeout_s):
                return await loop.run_in_executor(self._pool, partial(read, *arguments))
        except TimeoutError:
            raise DatabaseError(f"The database did not answer within {self._timeout_s:g} s.") from None
