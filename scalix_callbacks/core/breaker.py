"""Whether to ask something that did not answer last time. Pure: time is an argument."""

from collections.abc import Callable, Hashable
from typing import Protocol, Self

MAX_PARTS = 256
"""That are remembered; a cluster has fewer servers, and those that are gone are forgotten."""


class Breaker:
    """Open after a failure; then one may try every `pause_s` seconds, until one succeeds."""

    def __init__(self, pause_s: float) -> None:
        self._pause_s = pause_s
        self._next_try_s: float | None = None

    @property
    def is_open(self) -> bool:
        return self._next_try_s is not None

    def permits(self, now_s: float) -> bool:
        """Whether to ask now. Of those who come while it is open, one in `pause_s` hears yes."""
        if self._next_try_s is None:
            return True
        if now_s < self._next_try_s:
            return False
        self._next_try_s = now_s + self._pause_s
        return True

    def failed(self, now_s: float) -> None:
        self._next_try_s = now_s + self._pause_s

    def succeeded(self) -> None:
        self._next_try_s = None

    def of(self, account_id: str) -> Self:
        """The breaker of what serves this account: there is but one."""
        return self


class Breakers:
    """Of something in several parts that fail each for itself.

    Args:
        part_of: which of them serves an account, now.
    """

    def __init__(self, pause_s: float, part_of: Callable[[str], Hashable]) -> None:
        self._pause_s = pause_s
        self._part_of = part_of
        self._parts: dict[Hashable, Breaker] = {}

    @property
    def is_open(self) -> bool:
        """Whether that of any part is."""
        return any(breaker.is_open for breaker in self._parts.values())

    def of(self, account_id: str) -> Breaker:
        """The breaker of the part that serves this account; a new part is asked at once."""
        part = self._part_of(account_id)
        if part not in self._parts:
            if len(self._parts) >= MAX_PARTS:
                self._parts.pop(next(iter(self._parts)))
            self._parts[part] = Breaker(self._pause_s)
        return self._parts[part]


class HasBreakers(Protocol):
    """`Breaker` or `Breakers`."""

    @property
    def is_open(self) -> bool: ...

    def of(self, account_id: str) -> Breaker: ...
