"""What is told of requests once they are over, off their way: lines of the log, and traces.

A request leaves itself in a bounded queue of its worker, which costs it one append. About once a second what
is over is written, a few at a time, so that no other request waits; a worker without requests writes nothing.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import orjson

from scalix_callbacks.core.call import Call
from scalix_callbacks.core.call_told import line_object, told_of, trace_object, went_well
from scalix_callbacks.core.trace import Step
from scalix_callbacks.store.errors import StoreLost
from scalix_callbacks.store.traces import MAX_ID, Entry

WRITE_EVERY_S = 1.0
MAX_WAITING = 5_000
BATCH = 16
"""So many go to Redis in one script."""
SLICE = 4
"""So many are made ready before other requests have their turn."""
MAX_ROUNDS = 5
"""For how many rounds a trace waits for its call to be settled."""

_log = logging.getLogger("scalix.traces")
_debug = logging.getLogger("scalix.debug")


class KeepsTraces(Protocol):
    """`Traces`; raises StoreLost."""

    async def keep(self, entries: Sequence[Entry]) -> None: ...


class Traced:
    """What this worker has to tell.

    Args:
        store: None: no traces are kept.
        redact: takes secrets out of a text that a client chose.
        percent: of how many requests that went well the trace is kept; of all others it always is.
        write_lines: takes lines of the log; None: nobody wants them.
        is_debug: each trace is also told in the log.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        store: KeepsTraces | None,
        redact: Callable[[str], str] = str,
        *,
        percent: int = 100,
        write_lines: Callable[[Sequence[str]], None] | None = None,
        is_debug: bool = False,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._redact = redact
        self._percent = percent
        self._write_lines = write_lines
        self._is_debug = is_debug
        self._sleep = sleep
        self._waiting: deque[tuple[Call, int]] = deque()
        self._is_there = asyncio.Event()
        self._is_lost = False
        self.dropped = 0
        """For which there was no room."""

    @property
    def is_wanted(self) -> bool:
        """Whether anybody wants to know what happens to a request."""
        return self._store is not None or self._write_lines is not None or self._is_debug

    def over(self, call: Call) -> None:
        """The answer to this request has left, or never will."""
        if call.trace is None:
            return
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append((call, 0))
        self._is_there.set()

    async def run_forever(self) -> None:
        """Writes; run it as a task for as long as the worker lives."""
        while True:
            await self._is_there.wait()
            await self._sleep(WRITE_EVERY_S)
            try:
                await self.write()
            except Exception as error:  # the outermost place: traces must not end for one of them
                _log.error("Traces could not be written (%s).", type(error).__name__)

    async def write(self, *, is_last: bool = False) -> None:
        """Writes what is over.

        Args:
            is_last: also what is not settled yet.
        """
        if self.dropped:
            _log.warning("%d traces were dropped: there were too many requests.", self.dropped)
            self.dropped = 0
        left = len(self._waiting)
        while left > 0:
            ready = []
            for _ in range(min(BATCH, left, len(self._waiting))):
                call, rounds = self._waiting.popleft()
                if is_last or rounds >= MAX_ROUNDS or _is_over(call):
                    ready.append(call)
                else:
                    self._waiting.append((call, rounds + 1))
            left -= BATCH
            await self._write(ready)
        if not self._waiting:
            self._is_there.clear()

    async def _write(self, calls: Sequence[Call]) -> None:
        entries, lines = [], []
        for at, call in enumerate(calls):
            if at % SLICE == 0:
                await asyncio.sleep(0)
            try:
                self._clean(call)
                told = told_of(call)
                if self._write_lines is not None:
                    lines.append(orjson.dumps(line_object(told)).decode())
                keeps = self._store is not None and self._is_kept(call)
                if keeps or self._is_debug:
                    told = trace_object(call, told)
            except (ValueError, TypeError) as error:
                _log.error("A trace cannot be told (%s).", type(error).__name__)
                continue
            if self._is_debug:
                _debug.debug(
                    "%s", orjson.dumps({"request_id": call.request_id, "steps": told["steps"]}).decode()
                )
            if keeps:
                entries.append(_entry(call, told))
        if self._write_lines is not None and lines:
            self._write_lines(lines)
        await self._keep(entries)

    def _clean(self, call: Call) -> None:
        """Somebody may have put a key where a model or an id belongs."""
        if call.model is None and call.asked_model is not None:
            call.asked_model = self._redact(call.asked_model[:MAX_ID])
        if call.client_request_id is not None:
            call.client_request_id = self._redact(call.client_request_id)

    async def _keep(self, entries: Sequence[Entry]) -> None:
        if self._store is None or not entries:
            return
        try:
            await self._store.keep(entries)
        except StoreLost:
            if not self._is_lost:
                _log.warning("Traces are not kept while Redis does not answer.")
            self._is_lost = True
        else:
            self._is_lost = False

    def _is_kept(self, call: Call) -> bool:
        return int(call.request_id[:8], 16) % 100 < self._percent or not went_well(call)


def _is_over(call: Call) -> bool:
    assert call.trace is not None
    return call.ask is None or call.trace.has(Step.SETTLED)


def _entry(call: Call, told: dict[str, Any]) -> Entry:
    return Entry(
        call.request_id,
        None if call.caller is None else call.caller.id,
        None if call.ask is None else call.ask.call_id,
        call.client_request_id,
        told,
    )
