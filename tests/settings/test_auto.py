"""`scalix.auto` of the YAML, and the one sentence for each way to get it wrong."""

from typing import Any

import pytest

from scalix_callbacks.core.auto import Weights
from scalix_callbacks.core.catalogue import Catalogue
from scalix_callbacks.settings import SettingsError
from scalix_callbacks.settings.auto_block import AutoSettings, read_auto
from tests.world import CATALOGUE, model


def read(auto: Any) -> AutoSettings:
    return read_auto({"auto": auto}, CATALOGUE)


def test_nothing_said_leaves_all_models_alike() -> None:
    """With the weights of docs/models.md."""
    assert AutoSettings() == read(None) == read({}) == read_auto(None, CATALOGUE)
    assert Weights(health=2.0, latency=1.0, price=1.0) == AutoSettings().weights


def test_what_is_said_holds() -> None:
    """A weight that is left out keeps its default."""
    said = {
        "candidates": ["gpt-4.1", "free-unready"],
        "priority": {"gpt-4.1": 3},
        "weights": {"price": 0, "latency": 1.5},
    }

    assert AutoSettings(("gpt-4.1", "free-unready"), {"gpt-4.1": 3}, Weights(2.0, 1.5, 0.0)) == read(said)


@pytest.mark.parametrize(
    ("auto", "told"),
    [
        ([], "scalix.auto: must be a mapping"),
        ({"candidate": []}, "scalix.auto.candidate: unknown key. Did you mean candidates?"),
        ({"candidates": "gpt-4.1"}, "scalix.auto.candidates: must be a list"),
        ({"candidates": []}, "scalix.auto.candidates: must be a list"),
        ({"candidates": ["gpt-4.1", "gpt-6"]}, "scalix.auto.candidates[1]: there is no model 'gpt-6'"),
        ({"candidates": ["anthropic/*"]}, "scalix.auto.candidates[0]: 'anthropic/*' is no name of one model"),
        ({"candidates": ["anthropic/x"]}, "scalix.auto.candidates[0]: there is no model 'anthropic/x'"),
        ({"candidates": [7]}, "scalix.auto.candidates[0]: 7 is no name"),
        ({"candidates": ["gpt-4", "gpt-4"]}, "scalix.auto.candidates[1]: gpt-4 is named twice"),
        ({"priority": [1]}, "scalix.auto.priority: must be a mapping"),
        ({"priority": {"gpt-6": 1}}, "scalix.auto.priority.gpt-6: there is no model"),
        ({"priority": {7: 1}}, "scalix.auto.priority.7: 7 is no name"),
        ({"priority": {"gpt-4": "high"}}, "scalix.auto.priority.gpt-4: 'high' must be a whole number"),
        ({"priority": {"gpt-4": True}}, "scalix.auto.priority.gpt-4: True must be a whole number"),
        (
            {"candidates": ["gpt-4.1"], "priority": {"gpt-4": 1}},
            "scalix.auto.priority.gpt-4: this model is not among scalix.auto.candidates",
        ),
        ({"weights": 1}, "scalix.auto.weights: must be a mapping"),
        ({"weights": {"speed": 1}}, "scalix.auto.weights.speed: unknown key"),
        ({"weights": {"price": "much"}}, "scalix.auto.weights.price: 'much' must be a number from 0 to 100"),
        ({"weights": {"price": float("nan")}}, "scalix.auto.weights.price: nan must be a number"),
        ({"weights": {"price": -1}}, "scalix.auto.weights.price: -1 must be a number"),
        ({"weights": {"price": True}}, "scalix.auto.weights.price: True must be a number"),
    ],
)
def test_a_mistake_is_told_with_its_place(auto: Any, told: str) -> None:
    """In one line."""
    with pytest.raises(SettingsError) as refused:
        read(auto)

    assert str(refused.value).startswith(told)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["scalix/auto", "auto", "free-auto"])
def test_no_model_may_have_the_name_of_auto_mode(name: str) -> None:
    """It could never be asked for."""
    with pytest.raises(SettingsError, match=f"model_name: {name} is a name of auto mode. Rename the model."):
        read_auto(None, Catalogue((model(name),)))
