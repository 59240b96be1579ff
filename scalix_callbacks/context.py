"""Puts the files of a call into its prompt, in slices of time: the event loop goes on in between."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from scalix_callbacks.core.bodies import Screened
from scalix_callbacks.core.context.files import check_bounds, read_files
from scalix_callbacks.core.context.options import EngineOptions, read_options
from scalix_callbacks.core.context.prompt import LAZY_EDITS, files_text, savings_text, with_system_text
from scalix_callbacks.core.context.ranking import rank
from scalix_callbacks.core.context.request import EngineRequest
from scalix_callbacks.core.context.selection import BUDGETS, Selection, select
from scalix_callbacks.core.context.slices import Steps
from scalix_callbacks.core.context.talk import said_in

SLICE_S = 0.003
"""For which the loop waits at most, and the step that is under way then."""
LARGE_CHARS = 200_000
"""Files above this are looked at for one call at a time, so that many calls wait for one slice, not many."""

T = TypeVar("T")


class Contexts:
    """One of each worker.

    Args:
        has_upstream: whether an upstream engine is configured, for which options and files are kept.
        elapsed: seconds that only grow.
    """

    def __init__(self, *, has_upstream: bool = False, elapsed: Callable[[], float] = time.monotonic) -> None:
        self.has_upstream = has_upstream
        self._elapsed = elapsed
        self._turn = asyncio.Lock()

    async def added(self, screened: Screened) -> tuple[Screened, EngineRequest]:
        """The request with files and instructions in its system message, and what its call keeps.

        Raises:
            GatewayError: the files are too many, too large, binary, or lie outside of a project.
        """
        options = read_options(screened.options or {})
        messages = screened.body["messages"]
        kept = EngineRequest(messages, (screened.options or {}) if self.has_upstream else None)
        texts = []
        if options.files:
            check_bounds(options.files)
            chosen = await self._chosen(options, screened)
            texts.append(files_text(chosen))
            if options.mode is not None:
                _tell(kept, chosen, screened)
        if options.is_lazy:
            texts.append(LAZY_EDITS)
        if texts:
            messages = with_system_text(messages, "\n\n".join(texts))
        # From here on the files are prompt like any other.
        return replace(screened, body={**screened.body, "messages": messages}, options=None), kept

    async def _chosen(self, options: EngineOptions, screened: Screened) -> Selection:
        work = _choose(options, screened)
        if sum(len(file["content"]) for file in options.files) <= LARGE_CHARS:
            return await self._driven(work)
        async with self._turn:
            return await self._driven(work)

    async def _driven(self, work: Steps[T]) -> T:
        until = self._elapsed() + SLICE_S
        while True:
            try:
                next(work)
            except StopIteration as done:
                result: T = done.value
                return result
            if self._elapsed() >= until:
                await asyncio.sleep(0)
                until = self._elapsed() + SLICE_S


def _choose(options: EngineOptions, screened: Screened) -> Steps[Selection]:
    files = yield from read_files(options.files)
    total = sum(file.tokens for file in files)
    if options.mode is None:
        return Selection(files, original_tokens=total)
    ranked = yield from rank(files, said_in(screened.body["messages"]), options.mode)
    return select(ranked, BUDGETS[options.mode].of(total))


def _tell(kept: EngineRequest, chosen: Selection, screened: Screened) -> None:
    """The saving in the form the app displays, where a text may begin with it: in streams of free text."""
    kept.header = (
        f"original-tokens={chosen.original_tokens}; smart-context-tokens={chosen.tokens};"
        f" files={len(chosen.files)}; left-out={len(chosen.left_out)}"
    )
    wanted = screened.body.get("response_format")
    is_free_text = not isinstance(wanted, dict) or wanted.get("type") in (None, "text")
    if screened.is_stream and is_free_text:
        kept.savings = savings_text(chosen.original_tokens, chosen.tokens)
