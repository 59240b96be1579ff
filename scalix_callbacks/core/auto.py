"""Auto mode: which model answers a call that leaves the choice to us, and which are tried after it (spec F4).

A pure choice: workers that know the same of the models choose the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import log2

from scalix_callbacks.core.errors import ErrorCategory, GatewayError
from scalix_callbacks.core.model_health import ModelHealth
from scalix_callbacks.core.pricing import ATTO_PER_USD, Rates
from scalix_callbacks.core.tiers import Tier, matches_any

SCALIX_AUTO, AUTO, FREE_AUTO = "scalix/auto", "auto", "free-auto"
AUTO_NAMES = (SCALIX_AUTO, AUTO, FREE_AUTO)
FREE_MODELS = ("free-*",)
"""Those that `free-auto` chooses among."""
PREFERRED = ("gemini-2.5-flash", "claude-sonnet-4", "gpt-4.1")
"""Of models of equal merit and priority, in this order (spec F4)."""
MAX_FALLBACKS = 3
"""As many as `router_settings.max_fallbacks` of the YAML lets be tried."""
STEP = 0.25
"""Scores within one step are equal."""
HOPED_S = 0.25
"""What a model that has not answered yet may take at its best, where none is quicker."""
_LEAST_S, _LEAST_USD = 0.05, 0.01
"""Nobody notices a difference below these; the logarithm would make much of it."""


def is_auto(name: str) -> bool:
    """Whether `name` asks for a choice instead of for a model."""
    return name in AUTO_NAMES


@dataclass(frozen=True, slots=True)
class Weights:
    """What each respect counts. Twice as slow, twice as dear and half as reliable count alike at 1.0 each.

    Attributes:
        health: of the share of calls that succeed.
        latency: of the seconds to an answer.
        price: of the USD for a million tokens.
    """

    health: float = 2.0
    latency: float = 1.0
    price: float = 1.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that can be chosen.

    Attributes:
        context_tokens: the longest prompt that it surely reads; None: not known, so none is too long.
        usd_per_1m: what it costs, of three tokens of prompt for each of the answer; None: not known, which
            counts as the dearest.
        priority: of models of equal merit the one with the highest goes first.
    """

    name: str
    context_tokens: int | None = None
    usd_per_1m: float | None = None
    priority: int = 0

    def fits(self, prompt_tokens: int) -> bool:
        return self.context_tokens is None or prompt_tokens <= self.context_tokens


@dataclass(frozen=True, slots=True)
class AutoModels:
    """All that auto mode may choose from in one configuration: ready chat models with names of their own."""

    candidates: tuple[Candidate, ...] = ()
    weights: Weights = field(default_factory=Weights)

    def of(self, name: str, tier: Tier | None, narrowed_to: tuple[str, ...] | None) -> tuple[Candidate, ...]:
        """Those that a caller reaches by the auto mode of this name.

        Args:
            tier: None: the operator, who reaches all of them.
            narrowed_to: what a key is limited to, as patterns; None: it is not. A key of auto modes alone is
                limited to asking for these, and they to nothing.
        """
        models = tuple(pattern for pattern in narrowed_to or () if not is_auto(pattern))
        if narrowed_to is not None and not models and name not in narrowed_to:
            return ()
        return tuple(
            candidate
            for candidate in self.candidates
            if (name != FREE_AUTO or matches_any(candidate.name, FREE_MODELS))
            and (tier is None or tier.permits(candidate.name))
            and (not models or matches_any(candidate.name, models))
        )


@dataclass(frozen=True, slots=True)
class Choice:
    """What a call of auto mode became.

    Attributes:
        requested: the auto mode, as it was asked for.
        recommended: the model chosen.
        reason: why, for people.
        fallback_options: the next best, which are tried when the first fails.
        tries: the model that this call tries out although another is better as far as is known; it is then
            the one chosen.
    """

    requested: str
    recommended: str
    reason: str
    fallback_options: tuple[str, ...] = ()
    tries: str | None = None


def blended_usd_per_1m(rates: Rates) -> float:
    """What a million tokens cost, three of prompt for each of the answer."""
    return (3 * rates.input + rates.output) / 4 / (ATTO_PER_USD // 1_000_000)


def permits_auto(name: str, tier: Tier | None) -> bool:
    """Whether a tier has this auto mode; `auto` is everybody's, among the models of their own."""
    return name == AUTO or tier is None or tier.permits(name)


def choose(
    name: str,
    candidates: Sequence[Candidate],
    health: Mapping[str, ModelHealth],
    *,
    prompt_tokens: int,
    is_stream: bool,
    now_s: float,
    weights: Weights = Weights(),
    may_try: Sequence[str] | None = None,
) -> Choice:
    """The best of `candidates` for a prompt of so many tokens.

    Args:
        health: model → what is known of it; nothing is held against those that are missing.
        may_try: the models that this call may try out; None: any whose time has come.

    Raises:
        GatewayError: CONTEXT_WINDOW_EXCEEDED, the prompt is too long for each of them; MODEL_UNAVAILABLE,
            there are none.
    """
    if not candidates:
        raise no_candidates()
    fitting = [candidate for candidate in candidates if candidate.fits(prompt_tokens)]
    if not fitting:
        longest = max(candidate.context_tokens or 0 for candidate in candidates)
        raise GatewayError(
            ErrorCategory.CONTEXT_WINDOW_EXCEEDED,
            f"The conversation is about {prompt_tokens:,} tokens, and the models that auto mode may choose"
            f" for you read {longest:,} at most. Shorten it, or choose a model with a larger context.",
        )
    ranking = _Ranking(fitting, health, is_stream, weights)
    ordered = sorted(fitting, key=ranking.merit)
    best = ordered[0]
    tried = next(
        (
            candidate
            for candidate in sorted(fitting, key=ranking.merit_at_best)
            if candidate is not best
            and (may_try is None or candidate.name in may_try)
            and ranking.is_due(candidate, now_s)
            and ranking.merit_at_best(candidate) < ranking.merit(best)
        ),
        None,
    )
    chosen = tried or best
    others = [candidate.name for candidate in ordered if candidate is not chosen]
    return Choice(
        name,
        chosen.name,
        ranking.reason(best) if tried is None else "auto: tried out, for it may have become the best",
        tuple(others[:MAX_FALLBACKS]),
        None if tried is None else tried.name,
    )


def no_candidates() -> GatewayError:
    """The refusal where auto mode has nothing to choose from."""
    return GatewayError(
        ErrorCategory.MODEL_UNAVAILABLE,
        "There is no model that auto mode may choose for you. Name a model; GET /v1/models lists those you"
        " may use.",
        param="model",
        is_retryable=False,
    )


_Merit = tuple[bool, int, int, int, float, str]
"""Sorts the best first."""


class _Ranking:
    """How candidates for one call compare. What nobody knows of a model's latency is taken as the mean."""

    def __init__(
        self,
        candidates: Sequence[Candidate],
        health: Mapping[str, ModelHealth],
        is_stream: bool,
        weights: Weights,
    ) -> None:
        self._candidates, self._health, self._weights = candidates, health, weights
        self._latency_s = {
            candidate.name: told_s
            for candidate in candidates
            if (row := health.get(candidate.name)) and (told_s := row.latency_s(is_stream)) is not None
        }
        known_s = self._latency_s.values()
        self._mean_s = sum(known_s) / len(known_s) if known_s else HOPED_S
        self._least_s = min(known_s, default=HOPED_S)
        prices = [c.usd_per_1m for c in candidates if c.usd_per_1m is not None]
        self._dearest_usd = max(prices, default=1.0)

    def merit(self, candidate: Candidate) -> _Merit:
        row = self._health.get(candidate.name)
        share = row.failure_share if row else 0.0
        latency_s = self._latency_s.get(candidate.name, self._mean_s)
        return self._merit(candidate, latency_s, share, is_down=row is not None and row.is_down)

    def merit_at_best(self, candidate: Candidate) -> _Merit:
        """Had it no failures any more, and were it as quick as the quickest, or as one hopes of a new one."""
        is_new = candidate.name not in self._latency_s
        least_s = min(self._least_s, HOPED_S) if is_new else self._least_s
        return self._merit(candidate, least_s, 0.0, is_down=False)

    def is_due(self, candidate: Candidate, now_s: float) -> bool:
        """Whether it is time to look how it does: never sooner for one call than for another."""
        row = self._health.get(candidate.name)
        return row is None or row.retry_at_s() <= now_s

    def reason(self, best: Candidate) -> str:
        """Why the best is: what it is better in than the runner-up."""
        others = [candidate for candidate in self._candidates if candidate is not best]
        if not others:
            return "auto: the only model that fits"
        up = [c for c in others if not ((row := self._health.get(c.name)) and row.is_down)]
        if (row := self._health.get(best.name)) and row.is_down:
            return "auto: all models fail of late; the best of them"
        if not up:
            return "auto: the only model that answers of late"
        known_s = self._latency_s.get(best.name)
        told = [f"auto: the best of {len(up) + 1} models by health, latency and price"]
        if known_s is not None:
            told.append(f"about {known_s:.1f} s to an answer")
        if best.usd_per_1m is not None:
            told.append(f"{best.usd_per_1m:.2f} USD per million tokens")
        return ", ".join(told)

    def _merit(self, candidate: Candidate, latency_s: float, share: float, *, is_down: bool) -> _Merit:
        usd = self._dearest_usd if candidate.usd_per_1m is None else candidate.usd_per_1m
        score = (
            self._weights.latency * log2(max(latency_s, _LEAST_S))
            + self._weights.price * log2(max(usd, _LEAST_USD))
            - self._weights.health * log2(1.0 - min(share, 0.99))
        )
        rank = PREFERRED.index(candidate.name) if candidate.name in PREFERRED else len(PREFERRED)
        return is_down, int(score // STEP), -candidate.priority, rank, score, candidate.name
