"""What auto mode may choose from: ready chat models, with what LiteLLM's own map says of them."""

from typing import Any

import pytest

from scalix_callbacks.core.auto import Candidate
from scalix_callbacks.core.catalogue import Catalogue, Deployment, Model
from scalix_callbacks.proxy.auto_models import auto_models
from scalix_callbacks.settings.auto_block import AutoSettings

CONFIG: dict[str, Any] = {
    "model_list": [
        {"model_info": None},
        {"model_info": {"max_input_tokens": 500}},
        {"model_info": {"base_model": "azure/gpt-4.1"}},
        {"model_info": {"mode": "image_generation"}},
    ]
}


def model(name: str, *deployments: tuple[str, int], missing: str | None = None) -> Model:
    return Model(name, tuple(Deployment(name, to, f"model_list[{i}]", missing) for to, i in deployments))


def found(*models: Model, **settings: Any) -> dict[str, Candidate]:
    choosable = auto_models(Catalogue(models), AutoSettings(**settings), CONFIG)
    return {candidate.name: candidate for candidate in choosable.candidates}


def test_only_ready_chat_models_by_name() -> None:
    """No patterns, nothing without credentials, nothing that does not chat."""
    kept = found(
        model("chat", ("openai/gpt-4.1", 0)),
        model("new", ("openai/nobody-knows-it", 0)),
        model("embedding", ("openai/text-embedding-3-small", 0)),
        model("image", ("openai/nobody-knows-it", 3)),
        model("unready", ("openai/gpt-4.1", 0), missing="OPENAI_API_KEY"),
        model("anthropic/*", ("anthropic/*", 0)),
    )

    assert ["chat", "new"] == list(kept)


def test_the_least_context_and_the_highest_cost_hold() -> None:
    """Whichever deployment answers; `model_info` goes before the map."""
    flash = model("flash", ("gemini/gemini-2.5-flash", 0), ("gemini/gemini-2.5-flash-lite", 1))
    candidate = found(flash)["flash"]

    assert 500 == candidate.context_tokens
    assert pytest.approx((3 * 0.30 + 2.50) / 4) == candidate.usd_per_1m


def test_an_azure_deployment_is_known_by_its_base_model() -> None:
    """Its own name is the operator's."""
    known = found(model("azure", ("azure/my-deployment", 2)))["azure"]

    assert known.context_tokens is not None and known.context_tokens > 100_000
    assert known.usd_per_1m is not None


def test_what_nobody_knows_is_unknown() -> None:
    """And never 0."""
    assert Candidate("new") == found(model("new", ("openai/nobody-knows-it", 0)))["new"]


def test_settings_narrow_and_rank() -> None:
    """`candidates` and `priority` of the YAML."""
    models = [model(name, ("openai/x", 0)) for name in ("a", "b", "c")]
    kept = found(*models, candidates=("b", "a"), priority={"b": 2})

    assert [("a", 0), ("b", 2)] == [(name, candidate.priority) for name, candidate in kept.items()]
