"""The scripts set through the control API, waiting for their calls."""

from collections.abc import Sequence
from dataclasses import dataclass

from scalix_callbacks.demo_provider.script import Script, ScriptError

MAX_SCRIPTS = 1_000
MAX_TIMES = 1_000_000
MAX_MATCH_CHARS = 1_000


@dataclass(frozen=True, slots=True)
class QueuedScript:
    """A script for the next `times` calls (None: until the next reset) of `model` whose last user message
    holds `match`; None fits every model, or every message.

    Raises: ScriptError, for a value of the wrong type or out of bounds.
    """

    script: Script
    times: int | None = None
    model: str | None = None
    match: str | None = None

    def __post_init__(self) -> None:
        times = self.times
        is_count = isinstance(times, int) and not isinstance(times, bool) and 1 <= times <= MAX_TIMES
        if times is not None and not is_count:
            raise ScriptError(f"times must be null or an integer from 1 to {MAX_TIMES}")
        for name, text in (("model", self.model), ("match", self.match)):
            if text is not None and (not isinstance(text, str) or not 0 < len(text) <= MAX_MATCH_CHARS):
                raise ScriptError(f"{name} must be null or a text of 1 to {MAX_MATCH_CHARS} characters")

    def fits(self, model: str, last_user_text: str) -> bool:
        """Whether the script is meant for such a call."""
        is_model = self.model is None or self.model == model
        return is_model and (self.match is None or self.match in last_user_text)


class ScriptQueue:
    """Counted scripts in the order they came, and standing ones behind them, the newest first."""

    def __init__(self) -> None:
        self._counted: list[tuple[QueuedScript, int]] = []
        self._standing: list[QueuedScript] = []

    def add(self, queued: QueuedScript) -> None:
        """Wait for a fitting call. A standing script replaces one with the same model and match.

        Raises: ScriptError, if 1,000 are waiting.
        """
        if queued.times is None:
            target = (queued.model, queued.match)
            self._standing = [other for other in self._standing if (other.model, other.match) != target]
        if len(self) >= MAX_SCRIPTS:
            raise ScriptError(f"at most {MAX_SCRIPTS} scripts may wait; reset them first")
        if queued.times is None:
            self._standing.insert(0, queued)
        else:
            self._counted.append((queued, queued.times))

    def take(self, model: str, last_user_text: str) -> Script | None:
        """The script for this call, used up once, or None when none fits."""
        for position, (queued, left) in enumerate(self._counted):
            if queued.fits(model, last_user_text):
                if left == 1:
                    del self._counted[position]
                else:
                    self._counted[position] = (queued, left - 1)
                return queued.script
        for queued in self._standing:
            if queued.fits(model, last_user_text):
                return queued.script
        return None

    def reset(self) -> None:
        """Forget every script."""
        self._counted.clear()
        self._standing.clear()

    def waiting(self) -> Sequence[tuple[QueuedScript, int | None]]:
        """The scripts in the order they are tried, each with the uses left (None: no end)."""
        return [*self._counted, *((queued, None) for queued in self._standing)]

    def __len__(self) -> int:
        return len(self._counted) + len(self._standing)
