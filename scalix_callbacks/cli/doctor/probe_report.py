"""What a hook probe saw, as it goes from the probe's process to ours."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

CUSTOM_AUTH = "custom_auth"
"""Listed among the hooks."""


class Mode(StrEnum):
    """Which LiteLLM is probed."""

    PACK = "pack"  # as our launcher serves it
    PLAIN = "plain"  # as `litellm --config` does


@dataclass(frozen=True, slots=True)
class CallSeen:
    """A call the probe made. `status` None: it was never answered."""

    status: int | None
    is_as_expected: bool


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """What was seen.

    Attributes:
        failure: why LiteLLM did not start; None: it did.
        problems: of `proxy.registration`.
        dropped: public names whose deployments, all or some, LiteLLM did not take.
        hooks: the calls each hook ran in; empty: in none.
        calls: by name.
    """

    failure: str | None = None
    problems: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    hooks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    calls: Mapping[str, CallSeen] = field(default_factory=dict)


def to_text(report: ProbeReport) -> str:
    return json.dumps(asdict(report))


def from_text(text: str) -> ProbeReport:
    """Of what `to_text` gave.

    Raises:
        ValueError, TypeError, KeyError: it is something else.
    """
    body: dict[str, Any] = json.loads(text)
    return ProbeReport(
        failure=body["failure"],
        problems=tuple(body["problems"]),
        dropped=tuple(body["dropped"]),
        hooks={name: tuple(calls) for name, calls in body["hooks"].items()},
        calls={name: CallSeen(**call) for name, call in body["calls"].items()},
    )
