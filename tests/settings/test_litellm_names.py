"""Names that LiteLLM does not know: it would leave them out, and start."""

from functools import partial
from urllib.parse import urlsplit

import litellm
import pytest
from litellm.llms.openai_like.json_loader import JSONProviderRegistry
from litellm.types.router import LiteLLM_Params
from litellm.types.utils import all_litellm_params

from scalix_callbacks.core.tiers import DEFAULT_TIERS
from scalix_callbacks.settings.errors import SettingsError
from scalix_callbacks.settings.litellm_names import (
    HOSTS,
    PROVIDERS,
    ROUTER_SETTINGS,
    bare_names,
    check_entry,
)
from scalix_callbacks.settings.model_list import read_catalogue
from scalix_callbacks.settings.model_list import resolve as resolve_value

MAY = {"PART": "mistral/small", "BASE": "https://api.groq.com/openai/v1"}


def read(params: dict, **sections: object) -> None:
    entry = {"model_name": "m", "litellm_params": {"api_key": "k", **params}}
    read_catalogue({"model_list": [entry], **sections}, DEFAULT_TIERS, MAY)


def refusal(params: dict, **sections: object) -> str:
    with pytest.raises(SettingsError) as caught:
        read(params, **sections)
    return str(caught.value)


def test_the_settings_are_those_of_litellms_router() -> None:
    """An upgrade that brings another one fails here."""
    assert set(litellm.Router.get_valid_args()) == set(ROUTER_SETTINGS)


def test_the_providers_are_litellms() -> None:
    """Those of its own list, and those that it reads from a file."""
    names = {str(getattr(name, "value", name)) for name in litellm.provider_list}

    assert names | set(JSONProviderRegistry.list_providers()) == set(PROVIDERS)


def test_the_hosts_are_litellms() -> None:
    """It takes them with a scheme or without."""
    addresses = [each if "://" in each else f"https://{each}" for each in litellm.openai_compatible_endpoints]

    assert {urlsplit(address).hostname for address in addresses} == set(HOSTS)


def test_every_model_that_litellm_can_call_passes() -> None:
    """All of its own table, by the names that it gives a provider."""
    for model in litellm.model_cost:
        try:
            read({"model": model})
        except SettingsError:
            assert not is_called(model), model


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"litellm_params": {"api_bse": "http://h/v1"}}, "api_bse: unknown key. Did you mean api_base?"),
        ({"litellm_params": {"apikey": "k"}}, "apikey: unknown key. Did you mean api_key?"),
        ({"litellm_params": {"API_BASE": "http://h/v1"}}, "API_BASE: unknown key. Did you mean api_base?"),
        ({"litellm_params": {}, "model_infos": {}}, "model_infos: unknown key. Did you mean model_info?"),
        ({"litelm_params": {}}, "litelm_params: unknown key. Did you mean litellm_params?"),
    ],
)
def test_what_is_nearly_a_name_of_a_deployment_is_told(entry: dict, told: str) -> None:
    """Without its address a call would go to the provider's own, with the key that was meant for another."""
    with pytest.raises(SettingsError) as caught:
        read_catalogue({"model_list": [{"model_name": "m", **entry}]}, DEFAULT_TIERS, MAY)

    assert str(caught.value).startswith("model_list[0].")
    assert str(caught.value).endswith(told)


def test_every_name_that_litellm_or_openai_takes_passes() -> None:
    """None of them is taken for a misspelled one of ours."""
    names = {*LiteLLM_Params.model_fields, *all_litellm_params, *litellm.OPENAI_CHAT_COMPLETION_PARAMS}

    check_entry({"litellm_params": dict.fromkeys(names), "blocked": False}, "model_list[0]")


def test_a_name_that_is_no_text_is_like_none() -> None:
    """YAML reads `on:` as true and `1:` as a number."""
    check_entry({"litellm_params": {1: "x"}, True: "x"}, "model_list[0]")


def is_called(model: str) -> bool:
    try:
        litellm.get_llm_provider(model)
    except litellm.BadRequestError:
        return False
    return True


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("num_retry", "router_settings.num_retry: unknown key. Did you mean num_retries?"),
        ("fallback", "router_settings.fallback: unknown key. Did you mean fallbacks?"),
        ("cool_down_time", "router_settings.cool_down_time: unknown key. Did you mean cooldown_time?"),
        (
            "health_check_interval",
            "router_settings.health_check_interval: LiteLLM wants it under general_settings. Move it.",
        ),
    ],
)
def test_a_misspelled_setting_of_the_router_is_told(name: str, told: str) -> None:
    """With the nearest one there is."""
    assert told == refusal({"model": "openai/m"}, router_settings={name: 1})


def test_what_litellm_takes_from_elsewhere_passes() -> None:
    """The router has these settings, and LiteLLM gives them to it by itself."""
    read({"model": "openai/m"}, router_settings={"search_tools": [], "ignore_invalid_deployments": True})


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"model": "opnai/gpt-4"}, "model: LiteLLM has no provider 'opnai'. Did you mean openai?"),
        ({"model": "opnai/*"}, "model: LiteLLM has no provider 'opnai'. Did you mean openai?"),
        ({"model": "OpenAI/gpt-4"}, "model: LiteLLM has no provider 'OpenAI'. Did you mean openai?"),
        (
            {"model": "opnai/m", "api_base": "https://llm.example/v1"},
            "model: LiteLLM has no provider 'opnai'. Did you mean openai?",
        ),
        (
            {"model": "acme9/m"},
            "model: LiteLLM has no provider 'acme9'. Write openai for a server that speaks OpenAI's API.",
        ),
        (
            {"model": "gpt-4", "custom_llm_provider": "antropic"},
            "custom_llm_provider: LiteLLM has no provider 'antropic'. Did you mean anthropic?",
        ),
    ],
)
def test_an_unknown_provider_is_told(params: dict, told: str) -> None:
    """By the path it stands at, with the nearest one there is."""
    assert f"model_list[0].litellm_params.{told}" == refusal(params)


@pytest.mark.parametrize(
    "params",
    [
        {"model": "custom_openai/m"},
        {"model": "publicai/m"},
        {"model": "anthropic/*"},
        {"model": "*"},
        {"model": "gpt-4o"},
        {"model": "os.environ/PART"},
        {"model": "meta-llama/Llama-3-8b", "custom_llm_provider": "huggingface"},
        {"model": "meta-llama/Llama-3-8b", "api_base": "os.environ/BASE"},
        {"model": f"meta/llama-2-70b-chat:{'0' * 64}"},
        {"model": "house/m", "use_litellm_proxy": True},
    ],
)
def test_what_litellm_finds_the_provider_of_passes(params: dict) -> None:
    """By its lists, its tables, the address or what else is said."""
    read(params)


@pytest.mark.parametrize(
    "params",
    [
        {"model": "openai/gpt-4"},
        {"model": "os.environ/PART"},
        {"model": "gpt-4", "custom_llm_provider": "openai"},
        {"model": "house", "api_base": "os.environ/BASE"},
        {"model": "house", "use_litellm_proxy": True},
        {"model": "*"},
        {"model": 7},
        {},
    ],
)
def test_a_name_with_its_provider_is_not_bare(params: dict) -> None:
    """Wherever the provider is said; only bare names are looked up."""
    entries = [{"litellm_params": params}, {"litellm_params": {"model": "os.environ/BARE"}}, {}, None]
    resolve = partial(resolve_value, environ={**MAY, "BARE": "house"})

    assert [("model_list[1].litellm_params.model", "house")] == bare_names({"model_list": entries}, resolve)


def test_a_provider_of_ones_own_passes() -> None:
    """As LiteLLM is told of it."""
    own = {"custom_provider_map": [{"provider": "house", "custom_handler": "handlers.house"}]}

    read({"model": "house/m"}, litellm_settings=own)
    assert "no provider 'horse'. Did you mean house?" in refusal({"model": "horse/m"}, litellm_settings=own)
