"""A time-out that a busy process does not run into: what counts is time in which it could have listened."""

import asyncio
from types import TracebackType

_TICKS = 5


class Patience:
    """`async with Patience(0.25):` ends what is awaited in it after about so many seconds, as TimeoutError.

    An event loop that was held up for a second by somebody else's work finds the answer and the end of a
    plain time-out at once, and obeys the time-out. So the time is taken in ticks, the next of which begins
    only when the loop has come round again; however long it was held up, that costs one tick.
    """

    __slots__ = ("_left", "_limit", "_loop", "_tick_s", "_timer")

    def __init__(self, timeout_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._tick_s = timeout_s / _TICKS
        self._left = _TICKS
        self._limit = asyncio.timeout(None)
        self._timer = self._loop.call_later(self._tick_s, self._tick)

    async def __aenter__(self) -> None:
        await self._limit.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        await self._limit.__aexit__(kind, error, trace)

    def _tick(self) -> None:
        self._left -= 1
        if self._left:
            self._timer = self._loop.call_later(self._tick_s, self._tick)
        else:
            self._limit.reschedule(self._loop.time())
