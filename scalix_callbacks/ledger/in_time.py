"""A database asked from an event loop, which waits for it only so long."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

from scalix_callbacks.ledger.errors import DatabaseError

QUERY_TIMEOUT_S = 5.0
_Result = TypeVar("_Result")


async def ask(executor: Executor, read: Callable[[], _Result]) -> _Result:
    """What `read` says, in a thread of `executor`.

    Raises:
        DatabaseError: it failed, or did not answer in time.
    """
    loop = asyncio.get_running_loop()
    try:
        # Not wait_for: on Python 3.11 it swallows a cancellation that comes together with the answer.
        async with asyncio.timeout(QUERY_TIMEOUT_S):
            return await loop.run_in_executor(executor, read)
    except TimeoutError:
        raise DatabaseError(f"The database did not answer within {QUERY_TIMEOUT_S:g} s.") from None
