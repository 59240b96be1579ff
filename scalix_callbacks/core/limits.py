"""Asking for a piece of every limit at once: what is asked, and what comes back. Pure values."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from scalix_callbacks.core.tiers import DAY_S, HOUR_S, Tier, Unit

LEAST_OUTPUT_TOKENS = 256
"""Fewer are not worth a call that asks for more (spec C4)."""
HELD_RETRY_S = 1.0
"""When to try again while only other open calls stand in the way."""
MAX_ATTEMPTS = 3
ATTEMPTS_WITHIN_S = 600
"""For how long after its first attempt a request takes more of them (spec C5)."""
_COUNTED_ALWAYS = ((Unit.REQUESTS, HOUR_S), (Unit.REQUESTS, DAY_S), (Unit.TOKENS, DAY_S))
"""What every answer tells, also where a tier does not limit it (spec D2)."""


@dataclass(frozen=True, slots=True)
class Counter:
    """One thing that is counted for an account; `amount` None: not limited.

    `shadow` is the amount of a limit in shadow, which refuses and lowers nothing; None: there is none.
    """

    unit: Unit
    window_s: int
    amount: int | None
    shadow: int | None = None

    @property
    def id(self) -> str:
        """Its name in the store: `requests:3600`."""
        return f"{self.unit}:{self.window_s}"


@dataclass(frozen=True, slots=True)
class Attempt:
    """Which try of which request this is (spec C5).

    Attributes:
        request: the client's id without its attempt; only ever compared, hashed, for one account.
        number: from 1; above `MAX_ATTEMPTS` it is a request of its own.
        body_hash: of the request body; another body makes it another request.
    """

    request: str
    number: int
    body_hash: str


@dataclass(frozen=True, slots=True)
class Ask:
    """What one call may use at the most.

    Attributes:
        call_id: ours, one per HTTP attempt.
        account_id: whose counters.
        prompt_tokens: by the typical estimate.
        output_tokens: asked for, of all choices together; None: not limited by anyone.
        attempt: None: a request of its own.
        memo: what a record needs should this worker die; JSON values, no prompt, no key.
        prompt_nano_usd, output_nano_usd: price of the whole prompt, and of one output token.
    """

    call_id: str
    account_id: str
    counters: tuple[Counter, ...]
    prompt_tokens: int
    output_tokens: int | None
    attempt: Attempt | None
    memo: Mapping[str, Any]
    prompt_nano_usd: int = 0
    output_nano_usd: int = 0

    def holds(self, unit: Unit) -> tuple[int, int]:
        """What it holds on counters of `unit`: whatever the output, and per output token."""
        match unit:
            case Unit.REQUESTS:
                return 1, 0
            case Unit.TOKENS:
                return self.prompt_tokens, 1
            case Unit.USD:
                return self.prompt_nano_usd, self.output_nano_usd


@dataclass(frozen=True, slots=True)
class Standing:
    """One counter now.

    Attributes:
        started_at_s: when its window began, Unix time; the window ends `counter.window_s` later.
        used, held: settled amounts, and what open calls hold.
    """

    counter: Counter
    started_at_s: float
    used: int
    held: int

    @property
    def resets_at_s(self) -> float:
        return self.started_at_s + self.counter.window_s


@dataclass(frozen=True, slots=True)
class Admitted:
    """The call holds what it asked for, with `output_tokens` lowered to what its limits leave.

    `standings` include what this call holds. `now_s` is the store's clock. `shadowed` are the counters whose
    limit in shadow would have refused it; told once, not when the admission is asked for again.
    """

    output_tokens: int | None
    standings: tuple[Standing, ...]
    now_s: float
    shadowed: tuple[Counter, ...] = ()


@dataclass(frozen=True, slots=True)
class Denied:
    """Nothing was taken.

    Attributes:
        by: the counter that refused; of several the one that resets last.
        retry_after_s: when this same ask would be admitted if nothing else changed; a request that is open
            counts as used for that, tokens that are held as given back. None: never, it is above the
            limit itself.
        is_held: only tokens or money held by other open calls of the account stand in the way; then
            `retry_after_s` is `HELD_RETRY_S`.
        is_too_large: the prompt alone is above the limit on tokens itself.
    """

    by: Counter
    standings: tuple[Standing, ...]
    now_s: float
    retry_after_s: float | None
    is_held: bool = False
    is_too_large: bool = False


Decision = Admitted | Denied


@dataclass(frozen=True, slots=True)
class Settled:
    """The end of a call, once.

    Attributes:
        is_counted: whether it counts as a request; a failed call does not, nor one whose request
            another attempt counted already.
    """

    is_counted: bool
    standings: tuple[Standing, ...]


RecordOfAbandoned = Callable[[Mapping[str, Any], tuple[Standing, ...]], Mapping[str, Any]]
"""Makes the record of a call whose worker died, from its memo and the windows it was admitted to.

`used` of those standings is what the call is charged, `held` is 0. ValueError: it is no memo of this version;
the call stays open, for a worker that can read it.
"""


def counters_of(tier: Tier | None) -> tuple[Counter, ...]:
    """What is counted for an account of this tier: its limits, and what every answer tells.

    None is the operator, whom nothing limits.
    """
    holding: dict[tuple[Unit, int], int] = {}
    shadows: dict[tuple[Unit, int], int] = {}
    for limit in tier.limits if tier else ():
        (shadows if limit.is_shadow else holding)[limit.unit, limit.window_s] = limit.amount
    pairs = dict.fromkeys([*holding, *_COUNTED_ALWAYS, *shadows])
    return tuple(Counter(*pair, holding.get(pair), shadows.get(pair)) for pair in pairs)
