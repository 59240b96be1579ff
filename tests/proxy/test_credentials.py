"""Credentials are found where LiteLLM itself would find them."""

import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalix_callbacks.proxy.credentials import has_default_credentials

PROVIDERS = [
    ("openai/gpt-4.1", {"OPENAI_API_KEY": "x"}),
    ("anthropic/claude-sonnet-4-6", {"ANTHROPIC_API_KEY": "x"}),
    ("gemini/gemini-2.5-flash", {"GEMINI_API_KEY": "x"}),
    ("openrouter/deepseek/deepseek-chat", {"OPENROUTER_API_KEY": "x"}),
    ("deepseek/deepseek-v4-flash", {"DEEPSEEK_API_KEY": "x"}),
    (
        "azure/gpt-4.1",
        {"AZURE_API_KEY": "x", "AZURE_API_BASE": "https://a", "AZURE_API_VERSION": "2024-10-21"},
    ),
]


@pytest.mark.parametrize(("model", "variables"), PROVIDERS, ids=[model for model, _ in PROVIDERS])
def test_the_providers_own_variables_are_enough(
    model: str, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deployment without a key of its own works once LiteLLM's usual variables are set."""
    for name in [*variables, "GOOGLE_API_KEY"]:
        monkeypatch.delenv(name, raising=False)
    without = has_default_credentials(model)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert (False, True) == (without, has_default_credentials(model))


@pytest.mark.parametrize("model", ["openai/gpt-4.1", "gpt-4.1"])
def test_a_variable_with_a_placeholder_is_not_enough(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is left as it was."""
    monkeypatch.setenv("OPENAI_API_KEY", "changeme")

    assert has_default_credentials(model) is False
    assert "changeme" == os.environ["OPENAI_API_KEY"]


@pytest.mark.parametrize("model", ["nosuch/model", "", "a" * 5_000, "openai-compatible/x"])
def test_an_unknown_provider_has_none(model: str) -> None:
    """LiteLLM's own answer would be yes."""
    assert has_default_credentials(model) is False


@settings(deadline=None)  # the first one imports LiteLLM
@given(st.text())
def test_any_name_has_an_answer(model: str) -> None:
    """Whatever stands in a configuration, there is an answer and no exception."""
    assert has_default_credentials(model) in (True, False)


def test_nothing_is_printed_not_even_at_the_first_import() -> None:
    """The launcher's output is its own; LiteLLM's import would add warnings, and fetch prices."""
    code = (
        "import os, sys\n"
        "from scalix_callbacks.proxy.credentials import has_default_credentials\n"
        "assert 'litellm' not in sys.modules\n"
        "assert not has_default_credentials('nosuch/model')\n"
        "assert 'LITELLM_LOCAL_MODEL_COST_MAP' not in os.environ\n"
        "from litellm.litellm_core_utils.get_model_cost_map import get_model_cost_map_source_info\n"
        "assert get_model_cost_map_source_info()['source'] == 'local'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env={})

    assert ("", "", 0) == (done.stdout, done.stderr, done.returncode)
