"""What auto mode may choose from, with what LiteLLM's map knows of each: kind, context and cost."""

from collections.abc import Mapping
from typing import Any

import litellm

from scalix_callbacks.core.auto import AutoModels, Candidate, blended_usd_per_1m
from scalix_callbacks.core.catalogue import Catalogue, Deployment, Model
from scalix_callbacks.proxy.provider_rates import provider_rates
from scalix_callbacks.settings.auto_block import AutoSettings

CHAT_MODES = (None, "chat", "completion", "responses")
"""Of a model the map does not know nobody says that it is something else."""


def auto_models(catalogue: Catalogue, settings: AutoSettings, config: Mapping[str, Any]) -> AutoModels:
    """The ready chat models with names of their own; `model_info` of a deployment goes before the map.

    Args:
        config: the YAML's data, in which the deployments stand at their paths.
    """
    infos = {
        f"model_list[{i}]": entry.get("model_info") or {}
        for i, entry in enumerate(config.get("model_list") or ())
        if isinstance(entry, Mapping)
    }
    return AutoModels(
        tuple(
            _candidate(model, infos, settings)
            for model in catalogue.models
            if not model.is_pattern
            and model.is_ready
            and (settings.candidates is None or model.name in settings.candidates)
            and all(_known(d, infos).get("mode") in CHAT_MODES for d in _ready(model))
        ),
        settings.weights,
    )


def _candidate(model: Model, infos: Mapping[str, Mapping[str, Any]], settings: AutoSettings) -> Candidate:
    """Any of its deployments may answer: the least context and the highest cost of them hold."""
    contexts = [_known(deployment, infos).get("max_input_tokens") for deployment in _ready(model)]
    costs = [
        blended_usd_per_1m(rates)
        for deployment in _ready(model)
        if (rates := provider_rates("", deployment.model, _base(deployment, infos), _provider(deployment)))
    ]
    return Candidate(
        model.name,
        context_tokens=min(
            (tokens for tokens in contexts if type(tokens) is int and tokens > 0), default=None
        ),
        usd_per_1m=max(costs, default=None),
        priority=settings.priority.get(model.name, 0),
    )


def _ready(model: Model) -> list[Deployment]:
    return [deployment for deployment in model.deployments if deployment.is_ready]


def _known(deployment: Deployment, infos: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    base = _base(deployment, infos)
    names = [base, deployment.model, deployment.model.split("/", 1)[-1]]
    known = (found for name in names if name and (found := litellm.model_cost.get(name)))
    listed: Mapping[str, Any] = next(known, {})
    info = {name: value for name, value in _info(deployment, infos).items() if value is not None}
    return {**listed, **info}


def _info(deployment: Deployment, infos: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    return infos.get(deployment.path, {})


def _base(deployment: Deployment, infos: Mapping[str, Mapping[str, Any]]) -> str | None:
    base = _info(deployment, infos).get("base_model")
    return base if isinstance(base, str) else None


def _provider(deployment: Deployment) -> str:
    return deployment.model.partition("/")[0]
