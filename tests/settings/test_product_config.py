"""The configuration we ship: every line of it means something to LiteLLM, and keeps the contract."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import litellm
import pytest
import yaml
from litellm import Router
from litellm.proxy._types import ConfigGeneralSettings
from litellm.types.router import LiteLLM_Params, RetryPolicy

from scalix_callbacks.core.tiers import DEFAULT_TIERS
from scalix_callbacks.settings import DEFAULT_CONFIG, load
from scalix_callbacks.settings.variables import SETTINGS
from tests.litellm_clients import close_clients

CONFIG: dict[str, Any] = yaml.safe_load(DEFAULT_CONFIG.read_text(encoding="utf-8"))
MAX_PROVIDER_CALLS = 6

pytestmark = pytest.mark.filterwarnings(
    "ignore:Item.*using the `ReadOnly` qualifier:UserWarning"
)  # LiteLLM's


def test_the_models_of_the_contract_are_there() -> None:
    """Spec F1."""
    names = (
        "free-gemini-flash free-gemini-pro free-deepseek-chat free-wizardlm scalix-engine scalix-gateway"
        " scalix-engine/* scalix-gateway/* gpt-4 gpt-4.1 gpt-5 claude-3-opus claude-sonnet-4 gemini-pro"
        " gemini-2.5-flash anthropic/* gemini/* openrouter/* ollama/* lmstudio/*"
    )

    assert set() == set(names.split()) - {entry["model_name"] for entry in CONFIG["model_list"]}


def test_the_fallbacks_of_the_contract_are_there() -> None:
    """Spec F3; that none leaves a tier is checked by loading it."""
    catalogue = load({}, folder=DEFAULT_CONFIG.parent / "docs").catalogue

    assert {
        "gpt-4": ("claude-3-opus", "gemini-pro", "free-gemini-flash"),
        "claude-3-opus": ("gpt-4", "gemini-pro", "free-deepseek-chat"),
        "gemini-pro": ("gpt-4", "claude-3-opus"),
        "free-gemini-flash": ("free-gemini-pro", "free-deepseek-chat"),
    } == catalogue.fallbacks


def test_the_tiers_written_out_are_the_defaults() -> None:
    """An operator who edits one value sees all the others as they hold."""
    assert dict(DEFAULT_TIERS) == dict(load({}, folder=DEFAULT_CONFIG.parent / "docs").tiers)


def test_credentials_are_variables_of_the_contract() -> None:
    """No key stands in the file, and no variable that the example file does not document."""
    values = [
        str(entry["litellm_params"][key])
        for entry in CONFIG["model_list"]
        for key in ("api_key", "api_base")
        if key in entry["litellm_params"]
    ]
    names = {setting.name for setting in SETTINGS}

    assert [] == [value for value in values if value.removeprefix("os.environ/") not in names]


def test_a_model_has_what_it_needs_from_one_variable() -> None:
    """OPENROUTER_API_KEY alone serves both of its free models; DEEPSEEK_API_KEY comes first where set."""
    openrouter = load({"OPENROUTER_API_KEY": "k"}, folder=DEFAULT_CONFIG.parent / "docs").catalogue
    both = load(
        {"OPENROUTER_API_KEY": "k", "DEEPSEEK_API_KEY": "k"}, folder=DEFAULT_CONFIG.parent / "docs"
    ).catalogue
    ready = {model.name for model in openrouter.models if model.is_ready}
    deepseek = both.find("free-deepseek-chat")

    assert {"free-deepseek-chat", "free-wizardlm", "openrouter/*"} == ready
    assert deepseek is not None
    assert ["deepseek/deepseek-v4-flash", "openrouter/deepseek/deepseek-chat"] == [
        deployment.model for deployment in deepseek.deployments if deployment.is_ready
    ]


def test_a_blank_key_is_none() -> None:
    """A line of the environment file that was never filled in makes no model ready."""
    catalogue = load({"OPENROUTER_API_KEY": " \t"}, folder=DEFAULT_CONFIG.parent / "docs").catalogue

    assert {"OPENROUTER_API_KEY"} == {
        name for model in catalogue.models if model.name == "openrouter/*" for name in model.missing
    }


def test_every_key_is_one_that_litellm_reads() -> None:
    """LiteLLM ignores what it does not know; a typing error would go unseen."""
    # The last is a setting of its `completion`; tests/providers shows that it is heeded.
    extra = {"weight", "order", "api_version", "additional_drop_params"}
    known_params = {*LiteLLM_Params.model_fields, *extra}
    params = {key for entry in CONFIG["model_list"] for key in entry["litellm_params"]}

    assert set() == params - known_params
    assert set() == {key for key in CONFIG["litellm_settings"] if not hasattr(litellm, key)}
    assert set() == set(CONFIG["router_settings"]) - set(Router.get_valid_args())
    assert set() == set(CONFIG["router_settings"]["retry_policy"]) - set(RetryPolicy.model_fields)
    assert set() == set(CONFIG["general_settings"]) - set(ConfigGeneralSettings.model_fields)


RELEASED = "2026-11-21"
"""A model that ends later is still fit to be shipped; raise it with each release."""
UNPRICED = {"openai/scalix-engine", "openai/scalix-gateway"}
"""An upstream of ours: what it costs, the operator knows. OpenRouter names the cost in its answers."""


def test_every_provider_model_is_known_and_not_retired() -> None:
    """LiteLLM's price list knows it, without an end in the past of this release."""
    models = {entry["litellm_params"]["model"] for entry in CONFIG["model_list"]} - UNPRICED
    listed = {m for m in models if not m.endswith("*") and not m.startswith("openrouter/")}
    info = {
        model: litellm.model_cost.get(model) or litellm.model_cost.get(model.split("/", 1)[1])
        for model in listed
    }

    assert [] == [
        model
        for model, known in info.items()
        if not known or known.get("deprecation_date", "9999-12-31") <= RELEASED
    ]


# --- calls per HTTP attempt -----------------------------------------------------------------------------


@asynccontextmanager
async def failing_provider(status: int) -> AsyncIterator[tuple[str, list[str]]]:
    """A provider that answers everything with `status`; its address, and the models it was asked for."""
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower())
        asked.append(json.loads(await reader.readexactly(int(length[1]) if length else 0))["model"])
        body = b'{"error": {"message": "no"}}'
        writer.write(
            b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\nconnection: close\r\n" % status
            + b"content-length: %d\r\n\r\n%s" % (len(body), body)
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", asked
    finally:
        server.close()


@pytest.fixture
def _as_configured(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """LiteLLM with our settings, and without the pauses between its tries."""
    taken = (
        *("num_retries_per_request", "drop_params", "expose_router_debug_in_errors"),
        "DEFAULT_MAX_RETRIES",
    )
    for key in taken:
        monkeypatch.setattr(litellm, key, CONFIG["litellm_settings"][key])
    monkeypatch.setattr(Router, "_time_to_sleep_before_retry", lambda *args, **kwargs: 0)
    yield
    litellm.callbacks.clear()


async def calls(model: str, status: int, *, embeds: bool = False, **request: Any) -> list[str]:
    """The models asked for, in order, when everything fails with `status`."""
    async with failing_provider(status) as (address, asked):
        entries = [
            {
                "model_name": entry["model_name"],
                "litellm_params": {
                    **entry["litellm_params"],
                    "model": f"openai/{entry['model_name']}",
                    "api_base": address,
                    "api_key": "k",
                },
            }
            for entry in CONFIG["model_list"]
            if "*" not in entry["model_name"]
        ]
        router = Router(model_list=entries, **CONFIG["router_settings"])
        with pytest.raises(Exception):  # noqa: B017  # LiteLLM's class for the status
            if embeds:
                await router.aembedding(model=model, input="x", metadata={}, **request)
            else:
                await router.acompletion(
                    model=model, messages=[{"role": "user", "content": "x"}], metadata={}, **request
                )
        router.discard()
        await close_clients()
        return asked


NAMES = sorted({entry["model_name"] for entry in CONFIG["model_list"] if "*" not in entry["model_name"]})


@pytest.mark.usefixtures("_as_configured")
@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 429, 500, 503])
async def test_one_attempt_makes_at_most_six_calls(status: int) -> None:
    """Spec E3, whatever fails and however, with LiteLLM's own walk along the chains."""
    counted = {model: len(await calls(model, status)) for model in NAMES}

    assert {} == {model: count for model, count in counted.items() if count > MAX_PROVIDER_CALLS}


@pytest.mark.usefixtures("_as_configured")
@pytest.mark.parametrize("status", [429, 500])
async def test_embeddings_keep_to_the_six_calls(status: int) -> None:
    """There LiteLLM would let OpenAI's client repeat each try by itself: nine calls of one model."""
    counted = {model: len(await calls(model, status, embeds=True)) for model in ("gpt-4", "gpt-4.1")}

    assert {} == {model: count for model, count in counted.items() if count > MAX_PROVIDER_CALLS}


@pytest.mark.usefixtures("_as_configured")
async def test_a_failing_model_is_tried_three_times_and_its_fallbacks_once() -> None:
    """As our hook passes the chain on: every model of it gets its turn."""
    chain = [
        {"model": name, "num_retries": 0} for name in ("claude-3-opus", "gemini-pro", "free-gemini-flash")
    ]

    assert ["gpt-4"] * 3 + ["claude-3-opus", "gemini-pro", "free-gemini-flash"] == await calls(
        "gpt-4", 500, fallbacks=[{"gpt-4": chain}]
    )


@pytest.mark.usefixtures("_as_configured")
async def test_a_refused_credential_is_not_tried_again() -> None:
    """The next model may have another provider."""
    assert ["gpt-4.1"] == await calls("gpt-4.1", 401)
    assert ["free-gemini-flash", "free-gemini-pro"] == (await calls("free-gemini-flash", 401))[:2]
