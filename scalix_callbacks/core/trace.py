"""What happened to one request, step by step: how its trace begins, grows within bounds, and is told."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from operator import itemgetter
from typing import Any

MAX_STEPS = 48
"""Of one trace: LiteLLM makes six provider calls for one request at most. What ends it comes in any case."""
MAX_TEXT = 128


class Step(StrEnum):
    """What can happen; the order is the usual one."""

    RECEIVED = "received"
    IDENTIFIED = "identified"
    BODY_READ = "body_read"
    SCREENED = "screened"
    WAITED = "waited"
    """For its turn, under overload."""
    CONTEXT_BUILT = "context_built"
    CHOSEN = "chosen"
    """Auto mode chose a model."""
    ADMITTED = "admitted"
    REFUSED = "refused"
    """By a limit."""
    PASSED_ON = "passed_on"
    """To LiteLLM."""
    CACHE_HIT = "cache_hit"
    SENT = "sent"
    """A provider is asked: the first, again, or the next one of the chain."""
    FAILED = "failed"
    """A provider did not answer as it should."""
    FIRST_TOKEN = "first_token"
    SETTLED = "settled"
    ENDED = "ended"
    """The answer has left."""


_AT = itemgetter(0)
_LAST = frozenset({Step.SETTLED, Step.ENDED})


@dataclass(slots=True)
class Trace:
    """The steps of one request so far: (seconds since it was received, what, about it).

    What is said about a step is names, numbers and categories: never a body, a key or an address.

    Attributes:
        elapsed: seconds that only grow.
        left_out: steps there was no room for.
        status: of the answer; None: none was begun.
        category: of the error it told.
        route: which address, by its name in our table; None: none of ours.
    """

    elapsed: Callable[[], float]
    began_s: float = 0.0
    steps: list[tuple[float, Step, Mapping[str, Any] | None]] = field(default_factory=list)
    left_out: int = 0
    status: int | None = None
    category: str | None = None
    route: str | None = None

    def __post_init__(self) -> None:
        self.began_s = self.elapsed()
        self.steps.append((0.0, Step.RECEIVED, None))

    def note(self, step: Step, about: Mapping[str, Any] | None = None) -> None:
        if step is Step.CACHE_HIT and self.steps[-1][1] is Step.SENT:
            self.steps.pop()  # LiteLLM says so before it looks into the cache
        if len(self.steps) >= MAX_STEPS and step not in _LAST:
            self.left_out += 1
        else:
            self.steps.append((self.elapsed() - self.began_s, step, about))

    def has(self, step: Step) -> bool:
        return any(each[1] is step for each in self.steps)

    def to_json(self) -> list[dict[str, Any]]:
        """`{"step", "at_ms", …}` each, in the order of their times."""
        told: list[dict[str, Any]] = []
        for at_s, step, about in sorted(self.steps, key=_AT):
            one: dict[str, Any] = {"step": step.value, "at_ms": round(at_s * 1_000, 2)}
            told.append({**one, **bounded(about)} if about else one)
        return told


def bounded(about: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of `about`, its texts cut."""
    return {
        name: value[:MAX_TEXT] if isinstance(value, str) else value
        for name, value in about.items()
        if value is not None
    }
