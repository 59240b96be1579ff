"""The models by their public names: which there are, which can be served, what follows when one fails."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from scalix_callbacks.core.tiers import Tier, TierTable, matches_any

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_@~][A-Za-z0-9_.:@~+-]*(/[A-Za-z0-9_@~][A-Za-z0-9_.:@~+-]*)*")
"""No `?`, `#`, `%`, `\\` or `..`: such as in `gemini/../files` or `gemini/veo:predictLongRunning?`."""


class ChainKind(StrEnum):
    """On which failures a chain is followed. The value is LiteLLM's word for it."""

    FAILED = "fallbacks"
    TOO_LONG = "context_window_fallbacks"
    DECLINED = "content_policy_fallbacks"


SPECIAL_CHAINS = (ChainKind.TOO_LONG, ChainKind.DECLINED)
"""Followed in the place of the ordinary chain, by models that have one."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """One way to serve a public model.

    Attributes:
        public_name: the name callers use; a `*` in it makes it a pattern.
        model: the name LiteLLM calls it by, e.g. `openai/gpt-4.1`.
        path: where it stands in the configuration, e.g. `model_list[3]`.
        missing: what it lacks to be called, e.g. `GEMINI_API_KEY`; None: it has its credentials.
    """

    public_name: str
    model: str
    path: str
    missing: str | None = None

    @property
    def is_ready(self) -> bool:
        return self.missing is None


@dataclass(frozen=True, slots=True)
class Model:
    """A public model: a name or pattern, and the deployments behind it."""

    name: str
    deployments: tuple[Deployment, ...]

    @property
    def is_pattern(self) -> bool:
        return "*" in self.name

    @property
    def is_ready(self) -> bool:
        return any(deployment.is_ready for deployment in self.deployments)

    @property
    def missing(self) -> tuple[str, ...]:
        """What its deployments lack, each once; empty when it is ready."""
        if self.is_ready:
            return ()
        return tuple(dict.fromkeys(d.missing for d in self.deployments if d.missing))


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Every public model of one configuration, and its fallback chains.

    Lookups are by exact public name, then by the pattern with the longest fixed part; what a pattern finds
    is made of plain words between slashes, for some providers take the name into the address they are
    called at. LiteLLM would also route deployment ids, `a,b` lists and bare `provider/model` names; those
    are not models here.

    Attributes:
        fallbacks: model → what follows when it fails.
        special: the same for prompts that are too long for it, and for content that it declines.
    """

    models: tuple[Model, ...]
    fallbacks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    special: Mapping[ChainKind, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    _by_name: dict[str, Model] = field(init=False, repr=False, compare=False)
    _listed: dict[str, Model] = field(init=False, repr=False, compare=False)
    _patterns: tuple[Model, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        exact = {model.name: model for model in self.models if not model.is_pattern}
        patterns = sorted((m for m in self.models if m.is_pattern), key=lambda m: -len(m.name))
        object.__setattr__(self, "_by_name", exact)
        object.__setattr__(self, "_listed", {model.name: model for model in self.models})
        object.__setattr__(self, "_patterns", tuple(patterns))

    def find(self, name: str) -> Model | None:
        """The model that `name` reaches; None when there is none."""
        if "*" in name or "," in name:
            return None
        if model := self._by_name.get(name):
            return model
        if not _PLAIN_NAME.fullmatch(name):
            return None
        return next((model for model in self._patterns if matches_any(name, (model.name,))), None)

    def listed_as(self, name: str) -> str | None:
        """The listed name or pattern that `name` reaches; None: it reaches none."""
        model = self.find(name)
        return None if model is None else model.name

    def find_listed(self, name: str) -> Model | None:
        """The model listed under exactly this name or pattern; None when there is none."""
        return self._listed.get(name)

    def unready_paths(self) -> set[str]:
        """Where the deployments without credentials stand in the configuration, as `model_list[i]`."""
        return {d.path for model in self.models for d in model.deployments if not d.is_ready}

    def served_names(self) -> set[str]:
        """The public names with at least one deployment that can be called; patterns included."""
        return {
            deployment.public_name
            for model in self.models
            for deployment in model.deployments
            if deployment.is_ready
        }

    def covers(self, pattern: str) -> bool:
        """Whether a name, or a pattern, reaches at least one model."""
        if "*" not in pattern:
            return self.find(pattern) is not None
        return any(matches_any(m.name, (pattern,)) or matches_any(pattern, (m.name,)) for m in self.models)

    def all_ready(self) -> "Catalogue":
        """The same models, each with its credentials: what the demo provider makes of them."""
        return Catalogue(
            tuple(
                replace(model, deployments=tuple(replace(d, missing=None) for d in model.deployments))
                for model in self.models
            ),
            self.fallbacks,
            self.special,
        )

    @property
    def chains(self) -> Mapping[ChainKind, Mapping[str, tuple[str, ...]]]:
        """All there are, by their kind."""
        return {ChainKind.FAILED: self.fallbacks, **self.special}

    def chain(self, name: str, kind: ChainKind = ChainKind.FAILED) -> tuple[str, ...]:
        """What LiteLLM tries after `name`, in order; empty when nothing follows."""
        chains = self.fallbacks if kind is ChainKind.FAILED else self.special.get(kind, {})
        return chains.get(name, ())

    def usable_chain(
        self,
        name: str,
        tier: Tier | None,
        narrowed_to: tuple[str, ...] | None,
        kind: ChainKind = ChainKind.FAILED,
    ) -> tuple[str, ...]:
        """The part of `chain` that this caller may reach and that has credentials."""
        return tuple(
            other
            for other in self.chain(name, kind)
            if (tier is None or tier.permits(other))
            and (narrowed_to is None or matches_any(other, narrowed_to))
            and (model := self.find(other)) is not None
            and model.is_ready
        )


def escapes(catalogue: Catalogue, tiers: TierTable) -> list[tuple[ChainKind, str, str, str]]:
    """Fallbacks that would lead out of a tier, as (kind, model, fallback, tier); such a start is refused."""
    return [
        (kind, name, other, tier.name)
        for kind, chains in catalogue.chains.items()
        for name, chain in chains.items()
        for other in chain
        for tier in tiers.values()
        if tier.permits(name) and not tier.permits(other)
    ]
