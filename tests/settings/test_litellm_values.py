"""Values of LiteLLM's own sections that it would take and then fail every call with."""

from copy import deepcopy

import pytest
from litellm.router_utils.routing_groups import VALID_ROUTING_STRATEGIES

from scalix_callbacks.settings.errors import SettingsError
from scalix_callbacks.settings.litellm_values import ROUTING_STRATEGIES, check_values

GOOD = {
    "model_list": [{"model_name": "m", "litellm_params": {"model": "openai/m", "timeout": 8, "weight": 0.5}}],
    "router_settings": {"num_retries": 0, "retry_policy": {}, "routing_strategy": "simple-shuffle"},
    "litellm_settings": {"request_timeout": 600, "drop_params": True, "callbacks": ["a.b"]},
    "environment_variables": {"A": "b"},
}


def changed(*path: str | int, value: object) -> dict:
    config = deepcopy(GOOD)
    *way, last = path
    place = config
    for step in way:
        place = place[step]
    place[last] = value
    return config


def test_a_good_configuration_passes():
    """So does one without any of it."""
    check_values(GOOD)
    check_values({})


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("router_settings", "num_retries"), "x", "router_settings.num_retries: 'x' must be a number"),
        (("router_settings", "retry_policy"), 5, "router_settings.retry_policy: 5 must be a mapping"),
        (("router_settings", "routing_strategy"), "x", "router_settings.routing_strategy: 'x' must be one"),
        (("router_settings", "routing_strategy"), [], "router_settings.routing_strategy: [] must be one"),
        (("litellm_settings", "request_timeout"), -1, "litellm_settings.request_timeout: -1 must be a"),
        (("litellm_settings", "request_timeout"), float("nan"), "litellm_settings.request_timeout: nan"),
        (("litellm_settings", "drop_params"), "yes", "litellm_settings.drop_params: 'yes' must be true or"),
        (("litellm_settings", "callbacks"), [5], "litellm_settings.callbacks: [5] must be a list of names"),
        (("environment_variables",), 5, "environment_variables: 5 must be a mapping"),
        (("model_list", 0, "litellm_params", "timeout"), "x", "model_list[0].litellm_params.timeout: 'x'"),
        (("model_list", 0, "litellm_params", "weight"), True, "model_list[0].litellm_params.weight: True"),
        (("model_list", 0, "litellm_params", "api_key"), {}, "model_list[0].litellm_params.api_key: {}"),
    ],
)
def test_a_wrong_value_is_refused_by_its_path(path, value, told):
    """One sentence: where, what it is, what it must be."""
    with pytest.raises(SettingsError) as caught:
        check_values(changed(*path, value=value))

    assert str(caught.value).startswith(told)


def test_a_value_of_the_environment_is_judged_later():
    """Its type is not known here."""
    check_values(changed("model_list", 0, "litellm_params", "timeout", value="os.environ/T"))


def test_the_strategies_are_litellms():
    """An upgrade that brings another one fails here."""
    assert set(VALID_ROUTING_STRATEGIES) == set(ROUTING_STRATEGIES)
