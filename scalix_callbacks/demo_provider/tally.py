"""What the provider billed."""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any

MAX_CALLS = 100_000


class Outcome(StrEnum):
    """How a call ended."""

    OK = "ok"
    ERROR = "error"
    CUT = "cut"
    HANG_UP = "hang_up"
    FAILED_MIDSTREAM = "failed_midstream"


@dataclass(frozen=True, slots=True)
class Billed:
    """One ended call.

    `at` is when it arrived, in Unix seconds. `prompt_tokens` are billed once the head of an answer is sent,
    so they are 0 for a call refused or given up before. `completion_tokens` were really sent; an answer that
    is not streamed counts when it is sent whole. `reported_usage` is the usage the client was told, in the
    endpoint's words; None if it was not told. `model` is None if the body named none; `http_status` is None
    if the client hung up before the head. `tag` is that of the script.
    """

    at: float
    model: str | None
    endpoint: str
    stream: bool
    prompt_tokens: int
    completion_tokens: int
    outcome: Outcome
    http_status: int | None
    duration_ms: float
    request_keys: tuple[str, ...]
    header_names: tuple[str, ...]
    reported_usage: Mapping[str, Any] | None
    tag: str | None

    def as_json(self) -> dict[str, Any]:
        """Its fields; `dataclasses.asdict` copies deeply, which takes seconds for a full tally."""
        return {name: getattr(self, name) for name in self.__slots__}


class Tally:
    """The last 100,000 calls, and totals over all of them since the last reset.

    Calls are numbered from 1 in the order they ended; a reset does not start again at 1.
    """

    def __init__(self, max_calls: int = MAX_CALLS) -> None:
        self._calls: deque[Billed] = deque(maxlen=max_calls)
        self._last_id = 0
        self.generation = 0
        """Raised by each reset; a call remembers the one it began in."""
        self._reset()

    def add(self, call: Billed, *, generation: int) -> None:
        """Count an ended call, unless the tally was reset since it began in `generation`."""
        if generation != self.generation:
            return
        self._last_id += 1
        self._calls.append(call)
        self._outcomes[call.outcome] += 1
        self._prompt_tokens += call.prompt_tokens
        self._completion_tokens += call.completion_tokens

    def reset(self) -> None:
        """Forget all calls; those still running will not be counted."""
        self.generation += 1
        self._calls.clear()
        self._reset()

    def totals(self) -> dict[str, Any]:
        """`calls`, `prompt_tokens`, `completion_tokens`, `total_tokens`; `outcomes`, each with its number."""
        return {
            "calls": self._outcomes.total(),
            "prompt_tokens": self._prompt_tokens,
            "completion_tokens": self._completion_tokens,
            "total_tokens": self._prompt_tokens + self._completion_tokens,
            "outcomes": {outcome.value: self._outcomes[outcome] for outcome in Outcome},
        }

    def calls(self, since: int = 0) -> list[tuple[int, Billed]]:
        """The kept calls with an id above `since`, each with its id, in the order they ended."""
        first_id = self._last_id - len(self._calls) + 1
        skipped = max(0, since - first_id + 1)
        return list(enumerate(islice(self._calls, skipped, None), start=first_id + skipped))

    def _reset(self) -> None:
        self._outcomes: Counter[Outcome] = Counter()
        self._prompt_tokens = 0
        self._completion_tokens = 0
