"""What calls cost: rates of tokens, the dated price table of what users pay, and the rounding, once per call.

A rate is a whole number of atto-USD (10⁻¹⁸) for one token, in which prices per thousand or per million tokens
are exact. The parts of a call are added up exactly; the sum is rounded once, half a nano-USD up.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from scalix_callbacks.core.tiers import DAY_S, matches_any
from scalix_callbacks.core.usage import Usage

ATTO_PER_NANO = 10**9
ATTO_PER_USD = 10**18
MAX_REMEMBERED = 10_000
"""Rates by model, tier and day; names that a pattern matches are the caller's choice."""


@dataclass(frozen=True, slots=True)
class Rates:
    """What one call costs, by its tokens.

    Attributes:
        input, cached_input, output: atto-USD for one token.
        request_nano_usd: for the call itself, once it used anything.
        cache_write: of the prompt's tokens that a provider put into its cache; None: as `input`.
        reasoning: of the completion's tokens that were thought; None: as `output`.
        above: other rates for long prompts, (more tokens than this, rates), fewest first; they then hold for
            all tokens of the call.
    """

    input: int
    cached_input: int
    output: int
    request_nano_usd: int = 0
    cache_write: int | None = None
    reasoning: int | None = None
    above: tuple[tuple[int, "Rates"], ...] = ()

    def nano_usd(self, usage: Usage) -> int:
        """Of a call that used this much; a figure nobody knows counts nothing."""
        prompt, completion = usage.prompt_tokens or 0, usage.completion_tokens or 0
        for least, rates in reversed(self.above):
            if prompt > least:
                return rates.nano_usd(usage)
        cached = min(usage.cached_tokens or 0, prompt)
        written = min(usage.cache_written_tokens or 0, prompt - cached)
        thought = min(usage.reasoning_tokens or 0, completion)
        atto_usd = (
            (prompt - cached - written) * self.input
            + cached * self.cached_input
            + written * (self.input if self.cache_write is None else self.cache_write)
            + (completion - thought) * self.output
            + thought * (self.output if self.reasoning is None else self.reasoning)
        )
        return self.request_nano_usd + (atto_usd + ATTO_PER_NANO // 2) // ATTO_PER_NANO

    @property
    def output_nano_usd(self) -> int:
        """What is held ahead for one token of output: rounded up, so that never too little is held."""
        return -(-self.output // ATTO_PER_NANO)

    @property
    def is_free(self) -> bool:
        return not (self.input or self.cached_input or self.output or self.request_nano_usd)


FREE = Rates(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Price:
    """What users pay for models of one name or pattern.

    Attributes:
        tier: only for calls of this tier; None: of all.
        from_day: days since 1970-01-01, UTC; calls that arrived before are not its.
        rates: None: not known, from then on.
    """

    model: str
    rates: Rates | None
    tier: str | None = None
    from_day: int = 0


def _per_1k(nano_usd: int) -> Rates:
    rate = nano_usd * ATTO_PER_NANO // 1_000
    return Rates(rate, rate, rate)


DEFAULT_PRICES = (
    Price("free-*", FREE),
    Price("scalix-engine", _per_1k(20_000_000)),
    Price("scalix-engine/*", _per_1k(20_000_000)),
    Price("gpt-4", _per_1k(30_000_000)),
)
"""What holds for calls that no price of the YAML is for (spec G2)."""


class PriceTable:
    """What users pay, by model, tier and day.

    Of the prices for a call the one with the exact name holds, else that with the longest pattern; of those
    the tier's own; of those the latest. Defaults hold only where no other price is for the call.
    """

    def __init__(self, prices: Iterable[Price] = ()) -> None:
        self.prices = tuple(prices)
        self._on = lru_cache(maxsize=MAX_REMEMBERED)(self._find)

    def rates(self, model: str, tier: str | None, at_s: float) -> Rates | None:
        """Those that hold for a call that arrived at `at_s` (Unix time); None: they are not known.

        Args:
            tier: None: the operator's own call.
        """
        return self._on(model, tier, int(at_s // DAY_S))

    def names(self, model: str, tier: str) -> bool:
        """Whether any price is for this model in this tier, of whatever day; one that says `not known` is."""
        return any(
            price.tier in (None, tier) and matches_any(model, (price.model,))
            for price in (*self.prices, *DEFAULT_PRICES)
        )

    def _find(self, model: str, tier: str | None, day: int) -> Rates | None:
        price = _holding(self.prices, model, tier, day) or _holding(DEFAULT_PRICES, model, tier, day)
        return None if price is None else price.rates


def _holding(prices: Sequence[Price], model: str, tier: str | None, day: int) -> Price | None:
    found = (
        price
        for price in prices
        if price.from_day <= day
        and price.tier in (None, tier)
        and (price.model == model or matches_any(model, (price.model,)))
    )
    return max(
        found,
        key=lambda p: (p.model == model, len(p.model), p.tier is not None, p.from_day),
        default=None,
    )


def charged_nano_usd(usage: Usage | None, asked: Rates | None, answered: Rates | None) -> int | None:
    """What the user pays for a call; None: there is no price for it.

    That of the model that answered, and never more than that of the model asked for: nobody chose the dearer
    one, and no more than the other's price was held of a budget.

    Args:
        usage: None: nothing was used, so nothing is paid.
        asked, answered: rates of the two models.
    """
    if usage is None:
        return 0
    known = (rates.nano_usd(usage) for rates in (asked, answered) if rates is not None)
    return min(known, default=None)
