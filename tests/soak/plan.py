"""What a fault run does: calls and accidents, all of them drawn from one seed."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

ENDPOINT_MODELS = ("free-gemini-flash", "gpt-4.1", "claude-3-opus")
"""What is asked for: without a price, with one per token, with one per token and request."""
FALLBACK = {"gpt-4": "gpt-4.1"}
"""A model asked for, and who answers when it fails."""
TIMED_OUT = "gpt-5"
"""Whose provider is given little time."""


class Kind(StrEnum):
    """What is to become of a call, should nothing else befall it."""

    WHOLE = "whole"
    STREAM = "stream"
    UNREPORTED = "unreported"
    """A stream whose provider tells no usage."""
    LEFT_EARLY = "left early"
    """Its client hangs up before the first chunk, or before the whole answer."""
    LEFT = "left"
    """Its client hangs up in the stream."""
    FAILED = "failed"
    FAILED_LATE = "failed late"
    """In the stream, by an error or a cut."""
    RETRIED_INSIDE = "retried inside"
    """The provider fails once, LiteLLM tries again."""
    FELL_BACK = "fell back"
    TIMED_OUT = "timed out"
    RETRIED = "retried"
    """Its first attempt fails; its client tries again."""


_WEIGHTS = {
    Kind.WHOLE: 6,
    Kind.STREAM: 6,
    Kind.UNREPORTED: 1,
    Kind.LEFT_EARLY: 2,
    Kind.LEFT: 4,
    Kind.FAILED: 2,
    Kind.FAILED_LATE: 2,
    Kind.RETRIED_INSIDE: 1,
    Kind.FELL_BACK: 2,
    Kind.TIMED_OUT: 1,
    Kind.RETRIED: 2,
}


class Fault(StrEnum):
    """What befalls the gateway."""

    WORKER_KILLED = "a worker killed"
    WORKER_STALLED = "a worker stopped for longer than its lease lives"
    REDIS_KILLED = "Redis killed"
    REDIS_STALLED = "Redis stopped for some seconds"
    DATABASE_AWAY = "the database away for some seconds"
    RENEWED = "the workers renewed"
    LAUNCHER_KILLED = "the launcher killed, the gateway started again"
    STOPPED = "the gateway stopped in mid-stream and started again"


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """One call of a client.

    Attributes:
        tag: by which it is found at the provider (in its prompt) and in the ledger (its request's id).
        user: a number.
        at_chunk: where a stream ends before its time; 0 is before the first.
    """

    tag: str
    kind: Kind
    user: int
    model: str
    words: int
    tokens: int
    at_chunk: int
    is_cut: bool

    @property
    def is_stream(self) -> bool:
        return self.kind in (Kind.STREAM, Kind.UNREPORTED, Kind.LEFT, Kind.FAILED_LATE) or (
            self.kind in (Kind.LEFT_EARLY, Kind.FELL_BACK, Kind.RETRIED_INSIDE) and self.is_cut
        )


def calls(seed: int, users: int) -> Iterator[PlannedCall]:
    """Calls without end, the same for the same seed."""
    chance = random.Random(f"calls {seed}")
    kinds, weights = list(_WEIGHTS), list(_WEIGHTS.values())
    number = 0
    while True:
        number += 1
        (kind,) = chance.choices(kinds, weights)
        tokens = chance.randint(2, 24)
        yield PlannedCall(
            tag=f"{seed}-{number}",
            kind=kind,
            user=chance.randrange(users),
            model=_model(kind, chance),
            words=chance.choice((1, 5, 40, 300)),
            tokens=tokens,
            at_chunk=chance.randint(1, tokens - 1),
            is_cut=chance.random() < 0.5,
        )


def faults(seed: int, chosen: tuple[Fault, ...] = tuple(Fault)) -> Iterator[Fault]:
    """Each of them once in an order of its own, again and again."""
    chance = random.Random(f"faults {seed}")
    while True:
        yield from chance.sample(chosen, len(chosen))


def _model(kind: Kind, chance: random.Random) -> str:
    if kind is Kind.FELL_BACK:
        return chance.choice(list(FALLBACK))
    if kind is Kind.TIMED_OUT:
        return TIMED_OUT
    return chance.choice(ENDPOINT_MODELS)
