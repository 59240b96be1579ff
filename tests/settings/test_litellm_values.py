"""Values of LiteLLM's own sections that it would take and then fail every call with."""

from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from litellm.router_utils.routing_groups import VALID_ROUTING_STRATEGIES

from scalix_callbacks.core.tiers import DEFAULT_TIERS
from scalix_callbacks.settings.errors import SettingsError
from scalix_callbacks.settings.litellm_values import ROUTING_STRATEGIES, check_litellms_redis, check_values
from scalix_callbacks.settings.model_list import read_catalogue

PARAMS = "model_list[0].litellm_params"
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
        (("router_settings", "num_retries"), "x", "router_settings.num_retries: 'x' must be a whole number"),
        (("router_settings", "num_retries"), 1.5, "router_settings.num_retries: 1.5 must be a whole number"),
        (
            ("router_settings", "max_fallbacks"),
            -1,
            "router_settings.max_fallbacks: -1 must be a whole number",
        ),
        (
            ("router_settings", "retry_policy"),
            {"TimeoutErrorRetries": "x"},
            "router_settings.retry_policy: {'T",
        ),
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
        *(
            (
                ("model_list", 0, "litellm_params", "weight"),
                wrong,
                f"{PARAMS}.weight: {wrong!r} must be a number",
            )
            for wrong in (-1, "nine", [], float("nan"), float("inf"), float("-inf"), 10**16, True)
        ),
        *(
            (
                ("model_list", 0, "litellm_params", "order"),
                wrong,
                f"{PARAMS}.order: {wrong!r} must be a whole",
            )
            for wrong in (-1, "first", {}, 1.5, float("nan"), False)
        ),
        (
            ("model_list", 0, "model_info"),
            {"order": "x"},
            "model_list[0].model_info.order: 'x' must be a whole",
        ),
        *(
            (
                ("model_list", 0, "litellm_params", name),
                ["gpt-4"],
                f"{PARAMS}.{name}: ['gpt-4'] must be left out",
            )
            for name in (
                "fallbacks",
                "default_fallbacks",
                "context_window_fallbacks",
                "content_policy_fallbacks",
                "context_window_fallback_dict",
            )
        ),
        (
            ("litellm_settings", "model_fallbacks"),
            ["m"],
            "litellm_settings.model_fallbacks: ['m'] must be left",
        ),
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


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("weight", "0.5", None),
        ("weight", "9", None),
        ("order", "2", None),
        ("weight", None, None),
        ("weight", "", None),
        ("weight", "nine", f"{PARAMS}.weight: os.environ/W is 'nine'; it must be a number from 0 on."),
        ("weight", "nan", f"{PARAMS}.weight: os.environ/W is 'nan'; it must be a number from 0 on."),
        ("weight", "inf", f"{PARAMS}.weight: os.environ/W is 'inf'; it must be a number from 0 on."),
        ("weight", "-1", f"{PARAMS}.weight: os.environ/W is '-1'; it must be a number from 0 on."),
        ("order", "1.5", f"{PARAMS}.order: os.environ/W is '1.5'; it must be a whole number from 0 on."),
    ],
)
def test_weights_and_orders_of_the_environment_are_judged_with_the_models(name, value, told):
    """LiteLLM would drop such a deployment, and say so in its log alone."""
    config = changed("model_list", 0, "litellm_params", name, value="os.environ/W")
    environ = {} if value is None else {"W": value}
    if told is None:
        assert read_catalogue(config, DEFAULT_TIERS, environ).find("m") is not None
        return
    with pytest.raises(SettingsError) as caught:
        read_catalogue(config, DEFAULT_TIERS, environ)

    assert f"{told} Correct it." == str(caught.value)


@given(
    st.sampled_from(["weight", "order"]),
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text("ab1.-", max_size=9)
    | st.lists(st.none()),
)
def test_a_weight_is_a_number_that_can_be_drawn_by_or_is_refused(name, value):
    """Whatever stands there: a finite number from 0 on, or refused in one line by its path."""
    try:
        check_values(changed("model_list", 0, "litellm_params", name, value=value))
    except SettingsError as error:
        assert str(error).startswith(f"{PARAMS}.{name}: ")
        assert "\n" not in str(error)
        return

    assert value is None or (type(value) in (int, float) and 0 <= value < float("inf"))


CLUSTER = "redis+cluster://a:1,b:2"


@pytest.mark.parametrize(
    "config",
    [
        {"router_settings": {"redis_url": "os.environ/REDIS_URL"}},
        {"general_settings": {"coordination_redis": {"url": "os.environ/REDIS_URL"}}},
    ],
)
def test_litellm_is_not_handed_a_clusters_address(config):
    """It would go on without any Redis; of a stand-alone one it may."""
    with pytest.raises(SettingsError, match=r"_settings\..*url: LiteLLM cannot read this REDIS_URL"):
        check_litellms_redis(config, CLUSTER)
    check_litellms_redis(config, "redis://a:1/0")
    check_litellms_redis(config, None)


def test_an_address_of_litellms_own_is_left_alone():
    """Its own form of a cluster, or another Redis."""
    check_litellms_redis({"general_settings": {"coordination_redis": {"startup_nodes": []}}}, CLUSTER)
    check_litellms_redis({"router_settings": {"redis_url": "redis://a:1/0"}}, CLUSTER)
