"""Whether to ask something that did not answer last time. Pure: time is an argument."""


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
