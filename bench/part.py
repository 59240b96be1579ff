"""A part of the bench: what it is given, and what it gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bench.figures import Row
from bench.servers import Server

Servers = Mapping[str, Server]


@dataclass(frozen=True, slots=True)
class Effort:
    """How long a part may take: every figure is the median of `rounds` measurements of `seconds`."""

    rounds: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Part:
    """`details`: for the JSON alone."""

    title: str
    rows: Sequence[Row]
    ratios: Sequence[Row] = ()
    details: Mapping[str, object] = field(default_factory=dict)
