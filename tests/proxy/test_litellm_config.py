"""The user's configuration with the pack in it."""

import os
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from litellm.proxy.proxy_server import ProxyConfig

from scalix_callbacks.proxy.litellm_config import PackConfig, with_pack
from scalix_callbacks.settings import DEFAULT_CONFIG
from scalix_callbacks.settings import model_list as settings_model_list
from scalix_callbacks.settings.model_list import CALLBACK, CUSTOM_AUTH

MODEL = {
    "model_name": "gpt-4",
    "litellm_params": {
        "model": "azure/gpt-4.1",
        "api_base": "os.environ/AZURE_API_BASE",
        "api_key": "os.environ/AZURE_API_KEY",
        "api_version": "2024-10-21",
        "custom_llm_provider": "azure",
        "weight": 9,
        "order": 1,
        "rpm": 5,
    },
    "model_info": {"base_model": "azure/gpt-4.1"},
}
FORCED_LITELLM = {"global_disable_no_log_param": True}
FORCED_GENERAL = {
    "custom_auth": "scalix_callbacks.plugin.authenticate",
    "master_key": "os.environ/LITELLM_MASTER_KEY",
    "cancel_on_disconnect": True,
}


def test_a_cache_of_litellms_own_is_left_out() -> None:
    """It would give every user's answers to every other."""
    config = with_pack({"litellm_settings": {"cache": True, "cache_params": {"type": "local"}}})

    assert set() == config["litellm_settings"].keys() & {"cache", "cache_params"}


def test_a_plain_configuration_gets_all_the_pack_needs() -> None:
    """One that names models alone, as written for plain LiteLLM."""
    expected = {
        "model_list": [MODEL],
        "litellm_settings": {
            "drop_params": True,
            "request_timeout": 600,
            "num_retries": 2,
            "use_chat_completions_url_for_anthropic_messages": True,
            "global_disable_no_log_param": True,
            "user_url_validation": True,
            "callbacks": ["scalix_callbacks.plugin.callbacks"],
        },
        "general_settings": FORCED_GENERAL,
    }

    assert expected == with_pack({"model_list": [MODEL]})


@pytest.mark.parametrize(
    ("theirs", "expected"),
    [
        (None, [CALLBACK]),
        ([], [CALLBACK]),
        (["langfuse", "otel"], [CALLBACK, "langfuse", "otel"]),
        ([CALLBACK], [CALLBACK]),
        (["langfuse", CALLBACK, "otel"], [CALLBACK, "langfuse", "otel"]),
        ([CALLBACK, "langfuse", CALLBACK], [CALLBACK, "langfuse"]),
        ("langfuse", [CALLBACK, "langfuse"]),
        (CALLBACK, [CALLBACK]),
        ([{"websearch": 1}], [CALLBACK, {"websearch": 1}]),
    ],
)
def test_the_users_callbacks_are_kept_behind_ours(theirs: Any, expected: list[Any]) -> None:
    """Ours is first and stands once, so that theirs see what we let through."""
    config = {"model_list": [], "litellm_settings": {"callbacks": theirs}}

    assert expected == with_pack(config)["litellm_settings"]["callbacks"]


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("litellm_settings", "global_disable_no_log_param", False),
        ("general_settings", "custom_auth", "evil.module.let_all_in"),
        ("general_settings", "custom_auth", None),
        ("general_settings", "master_key", "sk-1234"),
        ("general_settings", "cancel_on_disconnect", False),
    ],
)
def test_what_the_promises_hang_on_cannot_be_switched_off(section: str, name: str, value: Any) -> None:
    """Neither by mistake nor on purpose."""
    merged = with_pack({"model_list": [], section: {name: value}})

    assert {**FORCED_LITELLM, **FORCED_GENERAL}[name] == merged[section][name]


def test_everything_else_stays_the_users() -> None:
    """Defaults yield to what is written; sections we do not know are passed on."""
    config = {
        "model_list": [MODEL],
        "litellm_settings": {"drop_params": False, "num_retries": 0, "telemetry": True},
        "general_settings": {"max_in_flight_requests_per_worker": 5},
        "router_settings": {"fallbacks": [{"a": ["b"]}]},
        "scalix": {"tiers": {}},
        "x": [1],
    }
    merged = with_pack(config)

    expected = {"drop_params": False, "num_retries": 0, "telemetry": True, "request_timeout": 600}
    assert expected.items() <= merged["litellm_settings"].items()
    assert {**FORCED_GENERAL, "max_in_flight_requests_per_worker": 5} == merged["general_settings"]
    assert all(config[name] == merged[name] for name in ("model_list", "router_settings", "scalix", "x"))


@pytest.mark.parametrize("empty", [None, {}])
def test_an_empty_section_is_none(empty: Any) -> None:
    """A heading with nothing below it is read as null from YAML."""
    config = {"model_list": [], "litellm_settings": empty, "general_settings": empty}

    assert with_pack({"model_list": []}) == with_pack(config)


def test_the_demo_serves_every_model_and_keeps_nothing_of_its_provider() -> None:
    """No key, address, version or provider is left that would lead a call elsewhere; shares are."""
    merged = with_pack({"model_list": [MODEL, deepcopy(MODEL)]}, demo_url="http://127.0.0.1:9")
    params = {
        "weight": 9,
        "order": 1,
        "model": "openai/demo",
        "api_base": "http://127.0.0.1:9/v1",
        "api_key": "demo-provider",
    }

    assert [params, params] == [entry["litellm_params"] for entry in merged["model_list"]]
    assert ["gpt-4", "gpt-4"] == [entry["model_name"] for entry in merged["model_list"]]


def test_deployments_without_credentials_are_left_out() -> None:
    """LiteLLM would call them all the same, and every third call would fail."""
    models = [{**MODEL, "model_name": name} for name in ("a", "b", "c")]
    merged = with_pack({"model_list": models}, unready={"model_list[0]", "model_list[2]"})

    assert ["b"] == [entry["model_name"] for entry in merged["model_list"]]


CONFIGS = st.fixed_dictionaries(
    {"model_list": st.just([MODEL])},
    optional={
        "litellm_settings": st.none()
        | st.dictionaries(st.sampled_from(["callbacks", "drop_params", "x"]), st.just(["a"])),
        "general_settings": st.none() | st.dictionaries(st.sampled_from(["master_key", "x"]), st.text()),
    },
)


@given(CONFIGS, st.none() | st.just("http://demo.example"))
def test_the_users_configuration_is_not_changed(config: dict[str, Any], demo_url: str | None) -> None:
    """A copy is; and adding the pack twice is adding it once."""
    before = deepcopy(config)
    once = with_pack(config, demo_url=demo_url)

    assert before == config
    assert once == with_pack(once, demo_url=demo_url)
    assert once["litellm_settings"]["callbacks"] is not config.get("litellm_settings", {})


def test_the_shipped_file_says_itself_what_the_pack_would_add() -> None:
    """So that `litellm --config litellm_proxy_config.yaml` alone is guarded, too."""
    shipped = yaml.safe_load(DEFAULT_CONFIG.read_text())

    assert CALLBACK == shipped["litellm_settings"]["callbacks"][0]
    assert FORCED_LITELLM.items() <= shipped["litellm_settings"].items()
    assert FORCED_GENERAL.items() <= shipped["general_settings"].items()


def test_settings_and_proxy_name_the_same_plugin() -> None:
    """The two levels do not import each other, and must not drift apart."""
    assert (CUSTOM_AUTH, CALLBACK) == (settings_model_list.CUSTOM_AUTH, settings_model_list.CALLBACK)


async def test_litellm_reads_every_file_through_the_pack(tmp_path: Path) -> None:
    """With the includes of the user's file, and no second file written."""
    (tmp_path / "more.yaml").write_text(yaml.safe_dump({"model_list": [MODEL, MODEL]}))
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({"include": ["more.yaml"], "litellm_settings": {"callbacks": ["otel"]}}))
    config = PackConfig(unready={"model_list[1]"}, demo_url=None)
    read = await config._get_config_from_file(str(path))

    assert [MODEL] == read["model_list"]
    assert [CALLBACK, "otel"] == read["litellm_settings"]["callbacks"]
    assert {"more.yaml", "config.yaml"} == set(os.listdir(tmp_path))


def test_litellm_still_reads_files_where_the_pack_listens() -> None:
    """The name is private to LiteLLM: an upgrade may move it."""
    assert callable(ProxyConfig._get_config_from_file)


@pytest.mark.parametrize("theirs", [None, ["otel"], ["langfuse"]])
def test_spans_are_exported_without_messages(theirs: list[str] | None) -> None:
    """By the setting or by the YAML; our callback is loaded first, so that what they tell is bounded."""
    merged = with_pack({"litellm_settings": {"callbacks": theirs}}, exports_spans=theirs != ["otel"])

    litellm = merged["litellm_settings"]
    assert (CALLBACK, "otel", 1) == (
        litellm["callbacks"][0],
        litellm["callbacks"][-1],
        litellm["callbacks"].count("otel"),
    )
    assert litellm["turn_off_message_logging"] is True


def test_by_default_no_spans_are_exported() -> None:
    """And other loggers of the operator's are as they were."""
    litellm = with_pack({"litellm_settings": {"callbacks": ["langfuse"]}})["litellm_settings"]

    assert [CALLBACK, "langfuse"] == litellm["callbacks"]
    assert "turn_off_message_logging" not in litellm


def test_litellm_prints_no_bodies() -> None:
    """Whatever a configuration written for plain LiteLLM asks for."""
    assert with_pack({"litellm_settings": {"set_verbose": True}})["litellm_settings"]["set_verbose"] is False
