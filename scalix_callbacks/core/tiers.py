"""Tiers: named sets of models, limits and features, as data."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from fnmatch import fnmatchcase

HOUR_S = 3_600
DAY_S = 86_400
MAX_AMOUNT = 2**53 - 1
"""Counters live in Lua doubles, exact up to here."""
MAX_WINDOW_S = 366 * DAY_S
MAX_WEIGHT = 1_000
MAX_OVERLOAD_WAIT_S = 300


class Unit(StrEnum):
    """What a limit counts."""

    REQUESTS = "requests"
    TOKENS = "tokens"
    USD = "usd"


class Feature(StrEnum):
    """What a tier may have beyond models and limits; what it lacks is dropped from a request."""

    LAZY_EDITS = "lazy_edits"
    SMART_CONTEXT = "smart_context"
    ADVANCED_REASONING = "advanced_reasoning"
    PRIORITY_PROCESSING = "priority_processing"
    FULL_ANALYTICS = "full_analytics"


class StoreLost(StrEnum):
    """What happens to a tier's calls while Redis is away."""

    REFUSE = "refuse"
    ADMIT = "admit"


class CacheSharing(StrEnum):
    """Among whom a tier's cached answers are shared."""

    OWN = "own"
    """Nobody but the account that asked."""
    SHARED = "shared"
    """All accounts of the tier."""
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `amount` of `unit` in any window of `window_s` seconds; 0 closes.

    For `usd` the amount is in nano-USD. In shadow it refuses nothing: what it would have refused is reported.
    """

    amount: int
    unit: Unit
    window_s: int
    is_shadow: bool = False


@dataclass(frozen=True, slots=True)
class LimitOverride:
    """For one account: another amount of its tier's limit on `unit` in `window_s`, or a limit the tier lacks.

    `amount` is that of a `Limit`; None: no limit. In shadow it stands for the tier's limit in shadow,
    and lifts none that holds.
    """

    unit: Unit
    window_s: int
    amount: int | None
    is_shadow: bool = False


@dataclass(frozen=True, slots=True)
class Tier:
    """A named set of models, limits and features.

    Attributes:
        models: patterns of public model names (`*` matches anything, also `/`).
        default_output_tokens: what a call that names no output limit gets; None: no limit is set.
        max_output_tokens: cap of one call's output; None: none.
        upgrade_to: the next tier, or None for the highest.
        upgrade_url: where a user of this tier can upgrade.
        cache: among whom its cached answers are shared.
        overload_weight: its share of the turns while calls must wait for theirs, from 1 to `MAX_WEIGHT`.
        overload_wait_s: how long a call of it waits for its turn at most.
    """

    name: str
    models: tuple[str, ...]
    limits: tuple[Limit, ...] = ()
    features: frozenset[Feature] = frozenset()
    default_output_tokens: int | None = None
    max_output_tokens: int | None = None
    upgrade_to: str | None = None
    upgrade_url: str | None = None
    on_store_lost: StoreLost = StoreLost.REFUSE
    cache: CacheSharing = CacheSharing.OWN
    overload_weight: int = 1
    overload_wait_s: float = 5.0

    def permits(self, model: str) -> bool:
        return matches_any(model, self.models)

    def overridden(self, overrides: tuple[LimitOverride, ...]) -> "Tier":
        """This tier with the limits of one account."""
        if not overrides:
            return self
        amounts: dict[tuple[Unit, int, bool], int | None] = {
            (limit.unit, limit.window_s, limit.is_shadow): limit.amount for limit in self.limits
        }
        amounts |= {(each.unit, each.window_s, each.is_shadow): each.amount for each in overrides}
        limits = tuple(
            Limit(amount, unit, window_s, is_shadow)
            for (unit, window_s, is_shadow), amount in amounts.items()
            if amount is not None
        )
        return replace(self, limits=limits)


class TierTable(Mapping[str, Tier]):
    """The tiers of one configuration, lowest first."""

    def __init__(self, tiers: tuple[Tier, ...]) -> None:
        self._tiers = {tier.name: tier for tier in tiers}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._tiers)

    @property
    def lowest(self) -> Tier:
        return next(iter(self._tiers.values()))

    def or_lowest(self, name: str) -> Tier:
        """The tier `name`; where that has left the configuration, its accounts get no more than the least."""
        return self._tiers.get(name) or self.lowest

    def lowest_covering(self, models: tuple[str, ...]) -> Tier | None:
        """The lowest tier that permits all of `models`; None when none does."""
        return next((tier for tier in self._tiers.values() if all(map(tier.permits, models))), None)

    def next_permitting(self, model: str) -> Tier | None:
        """The lowest tier with `model`, to name in a refusal; None when no tier has it."""
        return self.lowest_covering((model,))

    def upgrade_url(self, tier: Tier, to: Tier | None) -> str | None:
        """Where a user of `tier` can upgrade to `to`: the address of the tier right below `to`."""
        names = None if to is None else to.name
        below = next((other for other in self._tiers.values() if names and other.upgrade_to == names), tier)
        return below.upgrade_url or tier.upgrade_url

    def __getitem__(self, name: str) -> Tier:
        return self._tiers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tiers)

    def __len__(self) -> int:
        return len(self._tiers)


def matches_any(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether `name` matches one of `patterns`; only `*` is special, and case counts."""
    return any(fnmatchcase(name, _only_star(pattern)) for pattern in patterns)


def narrowed(names: tuple[str, ...], patterns: tuple[str, ...]) -> tuple[str, ...]:
    """What `names`, which may be patterns, and `patterns` have in common, in their order, each once.

    Of a name and a pattern it is the narrower one. Patterns that overlap without one holding the other
    (`a*` and `*b`) have nothing in common here.
    """
    common: dict[str, None] = {}
    for name in names:
        if matches_any(name, patterns):
            common[name] = None
        else:
            common |= dict.fromkeys(pattern for pattern in patterns if matches_any(pattern, (name,)))
    return tuple(common)


def _only_star(pattern: str) -> str:
    return pattern.replace("[", "[[]").replace("?", "[?]")


_ALL_FEATURES = frozenset(Feature)
_GATEWAY_MODELS = ("gpt-4.1", "gpt-5", "anthropic/*", "gemini/*", "openrouter/*")
"""The ids of the desktop app's own catalogue; the app offers them to Pro users."""

DEFAULT_TIERS = TierTable(
    (
        Tier(
            name="free",
            models=("free-*",),
            limits=(
                Limit(10, Unit.REQUESTS, HOUR_S),
                Limit(50, Unit.REQUESTS, DAY_S),
                Limit(10_000, Unit.TOKENS, DAY_S),
            ),
            default_output_tokens=750,
            upgrade_to="pro",
            upgrade_url="https://scalix.world/pro",
        ),
        Tier(
            name="pro",
            models=("free-*", "scalix-*", "scalix/*", *_GATEWAY_MODELS),
            limits=(Limit(100, Unit.REQUESTS, HOUR_S), Limit(100_000, Unit.TOKENS, DAY_S)),
            features=_ALL_FEATURES - {Feature.PRIORITY_PROCESSING},
            default_output_tokens=4_096,
            upgrade_to="premium",
            upgrade_url="https://scalix.world/premium",
            on_store_lost=StoreLost.ADMIT,
            overload_weight=4,
            overload_wait_s=30.0,
        ),
        Tier(
            name="premium",
            models=("*",),
            features=_ALL_FEATURES,
            on_store_lost=StoreLost.ADMIT,
            overload_weight=16,
            overload_wait_s=30.0,
        ),
    )
)
"""What holds where the YAML's `scalix.tiers` says nothing else (spec C1)."""
