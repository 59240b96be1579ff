"""Work that is done over and over in the background: whatever one round raises, the next one comes."""

import asyncio
from collections.abc import Awaitable, Callable


async def go_round(
    work: Callable[[], Awaitable[object]],
    every_s: float,
    failed: Callable[[Exception, bool], None],
    *,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> None:
    """A pause and `work`, again and again; run it as a task for as long as the worker lives.

    Args:
        failed: is told what a round raised, while that is handled, and whether the round before did not.
        sleep: waits so many seconds.
    """
    is_first = True
    while True:
        await sleep(every_s)
        try:
            await work()
            is_first = True
        except Exception as error:  # the outermost place: whatever it was, it is tried again
            failed(error, is_first)
            is_first = False
