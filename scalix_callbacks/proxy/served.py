"""Which deployment served an answer, by what LiteLLM notes on it; its rates, and the most it can answer."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import litellm
from litellm.proxy import proxy_server

from scalix_callbacks.core.catalogue import Catalogue
from scalix_callbacks.core.pricing import Rates
from scalix_callbacks.core.tiers import matches_any
from scalix_callbacks.proxy.provider_rates import provider_rates


@dataclass(frozen=True, slots=True)
class Served:
    """`model`: the public name; None where LiteLLM does not say, or serves a pattern.

    `rates`: what its provider charges; None: not known.
    """

    model: str | None = None
    provider: str | None = None
    rates: Rates | None = None

    @property
    def about(self) -> dict[str, Any]:
        """What `Meter.settle` is told of the provider."""
        return {"provider": self.provider, "provider_rates": self.rates}


def served_by(*answers: Any, asked: str | None = None) -> Served:
    """Told by the first of `answers` that names a deployment: an answer of LiteLLM's, or a chunk of one.

    A chunk knows best: before the first one, another deployment may have taken a stream over.

    Args:
        asked: the model asked for, which tells what a deployment of a pattern was called for.
    """
    for answer in answers:
        deployment_id = _noted(answer, "model_id")
        if isinstance(deployment_id, str) and (served := served_of(deployment_id, asked)) != _NOBODY:
            return served
    return _NOBODY


def served_of(deployment_id: str, asked: str | None) -> Served:
    """What is known of this deployment; nothing where LiteLLM does not have it (any more).

    Args:
        asked: as for `served_by`.
    """
    router = proxy_server.llm_router
    deployment = None if router is None else router.get_deployment(deployment_id)
    if deployment is None:
        return _NOBODY
    name, params = str(deployment.model_name), deployment.litellm_params
    provider = params.custom_llm_provider or params.model.partition("/")[0]
    rates = _rates_of(deployment, deployment_id, str(provider), asked)
    provider = provider if provider in litellm.provider_list else None
    return Served(None if "*" in name else name, provider, rates)


_NOBODY = Served()


def _rates_of(deployment: Any, deployment_id: str, provider: str, asked: str | None) -> Rates | None:
    model, name = str(deployment.litellm_params.model), str(deployment.model_name)
    if "*" in model:
        if asked is None or not matches_any(asked, (name,)):
            return None  # a fallback to a pattern; which of its models it was is noted nowhere
        model = _called(name, model, asked)
    base = getattr(deployment.model_info, "base_model", None)
    return provider_rates(deployment_id, model, base, provider)


def _called(name: str, model: str, asked: str) -> str:
    """What a deployment `model` of the pattern `name` calls for `asked`: the stars stand for the same."""
    before, _, after = name.partition("*")
    star = asked[len(before) : len(asked) - len(after)]
    return model.replace("*", star, 1)


def _noted(answer: Any, name: str) -> Any:
    """What LiteLLM noted; it keeps its notes as a dict or as an object, on the answer or in it."""
    field = "_hidden_params"
    notes = answer.get(field) if isinstance(answer, dict) else getattr(answer, field, None)
    return notes.get(name) if isinstance(notes, dict) else getattr(notes, name, None)


def max_output_of(catalogue: Catalogue) -> Callable[[str], int | None]:
    """Public model name → the most output tokens that all its deployments can give; None: not known."""

    @lru_cache(maxsize=10_000)
    def most(name: str) -> int | None:
        model = catalogue.find(name)
        limits = [_max_output(d.model) for d in model.deployments if d.is_ready] if model else []
        return min((limit for limit in limits if limit is not None), default=None)

    return most


def _max_output(model: str) -> int | None:
    known = litellm.model_cost.get(model) or litellm.model_cost.get(model.split("/", 1)[-1]) or {}
    limit = known.get("max_output_tokens")
    return limit if isinstance(limit, int) and limit > 0 else None
