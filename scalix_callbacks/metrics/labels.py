"""The values of labels: few, and all known when the worker starts."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import lru_cache

from scalix_callbacks.core.call import Call
from scalix_callbacks.core.tiers import Unit

OPERATOR = "operator"
NOBODY = "unknown"
"""The user type of a request without a valid key."""
OTHER = "other"


@dataclass(frozen=True, slots=True)
class Names:
    """Which label values there may be beside `other`.

    Attributes:
        limits: what the tiers limit, as (tier, unit, window in seconds).
        shadow_limits: what they limit in shadow, likewise.
        flags: of rollouts.
        listed_as: a model's name → the name or pattern it is configured as; None: it is not.
    """

    tiers: Collection[str] = ()
    limits: Collection[tuple[str, Unit, int]] = ()
    shadow_limits: Collection[tuple[str, Unit, int]] = ()
    models: Collection[str] = ()
    flags: Collection[str] = ()
    listed_as: Callable[[str], str | None] = lambda name: None


class LabelValues:
    """Puts what comes under one of the names, or under `other`."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.user_types = (*names.tiers, OPERATOR, NOBODY)
        self.model = lru_cache(maxsize=1_000)(self._model)
        self._tiers = frozenset(names.tiers)

    def user_type(self, call: Call) -> str:
        """Of who asked."""
        if call.caller is None:
            return NOBODY
        tier = call.caller.tier
        if tier is None:
            return OPERATOR
        return tier if tier in self._tiers else OTHER

    def _model(self, name: str) -> str:
        return self.names.listed_as(name) or OTHER
