"""Long work in small steps, so that who drives it may do something else in between."""

from collections.abc import Generator, Iterator
from typing import TypeVar

PIECE_CHARS = 16_384
"""Of text looked at in one step: about a millisecond's work."""

T = TypeVar("T")
Steps = Generator[None, None, T]
"""Work that stops after each step, and returns its result at the end."""


def pieces(text: str) -> Iterator[str]:
    """The text in pieces of at most PIECE_CHARS, cut behind a line's end where there is one."""
    start = 0
    while start < len(text):
        end = start + PIECE_CHARS
        if end < len(text):
            end = (text.rfind("\n", start, end) + 1) or end
        yield text[start:end]
        start = end


def finish(work: Steps[T]) -> T:
    """All steps at once, for whoever has nothing else to do."""
    while True:
        try:
            next(work)
        except StopIteration as done:
            result: T = done.value
            return result
