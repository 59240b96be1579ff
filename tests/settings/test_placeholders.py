"""What is no key although it stands where one belongs."""

import pytest

from scalix_callbacks.core.tiers import DEFAULT_TIERS
from scalix_callbacks.settings.model_list import read_catalogue
from scalix_callbacks.settings.placeholders import is_placeholder


@pytest.mark.parametrize(
    "value",
    [
        "${KEY}",
        "${OPENAI_API_KEY:-}",
        "$OPENAI_API_KEY",
        "%OPENAI_API_KEY%",
        "{{ openai_key }}",
        "os.environ/OPENAI_API_KEY",
        "<your key>",
        " <OPENAI_API_KEY> ",
        "your-api-key-here",
        "your_openai_api_key",
        "YOUR_API_KEY",
        "your key",
        "sk-your-key-here",
        "sk-ant-your-key",
        "api-key-here",
        "insert your key here",
        "changeme",
        "CHANGE_ME",
    ],
)
def test_a_placeholder_is_no_key(value: str) -> None:
    """As it stands in files that somebody forgot to fill in."""
    assert is_placeholder(value)


@pytest.mark.parametrize(
    "value",
    [
        *("none", "dummy", "sk-1234", "ollama", "EMPTY", "no-key", "not-needed", "lm-studio", "fake-key"),
        *("x", "xxx", "-", "anything", "key", "secret", "sk-local", "test", "my-api-key", "token-abc123"),
        *("sk-xxxx", "xxxxxxxxxxxxxxxx", "sk-...", "[key]"),
        *("sk-proj-Zq3$uX9{w}", "AIzaSyD-your-8fk3", "yourube-81jd", "$ecret", "exchange-me-not-9a8"),
    ],
)
def test_what_some_server_takes_counts_as_a_key(value: str) -> None:
    """Servers of one's own take any word; real keys hold any characters."""
    assert not is_placeholder(value)


@pytest.mark.parametrize(
    ("params", "missing"),
    [
        ({"api_key": "os.environ/MY_KEY"}, "MY_KEY (now a placeholder)"),
        ({"api_key": "<your key>"}, "api_key (now a placeholder)"),
        ({}, "OPENAI_API_KEY (now a placeholder)"),
        ({"api_key": "dummy"}, None),
        ({"api_key": "os.environ/GOOD"}, None),
    ],
)
def test_a_model_with_a_placeholder_for_a_key_is_not_ready(params: dict, missing: str | None) -> None:
    """It is told which variable holds one, and not what it holds."""
    environ = {"MY_KEY": "${KEY}", "OPENAI_API_KEY": "changeme", "GOOD": "sk-1234"}
    config = {"model_list": [{"model_name": "m", "litellm_params": {"model": "openai/m", **params}}]}
    model = read_catalogue(config, DEFAULT_TIERS, environ, lambda model: False).find("m")

    assert model is not None
    assert missing == model.deployments[0].missing


CREDENTIALS = [
    {"credential_name": name, "credential_values": values, "credential_info": {}}
    for name, values in (
        ("good", {"api_key": "os.environ/GOOD"}),
        ("unset", {"api_key": "os.environ/ABSENT"}),
        ("unfilled", {"api_key": "changeme"}),
        ("from outside", {"api_key": "os.environ/MY_KEY"}),
        ("of another kind", {"aws_region_name": "eu-west-1"}),
        ("good", {"api_key": "changeme"}),
    )
]


@pytest.mark.parametrize(
    ("params", "missing"),
    [
        ({"litellm_credential_name": "good"}, None),
        ({"litellm_credential_name": "unset"}, "ABSENT"),
        (
            {"litellm_credential_name": "unfilled"},
            "credential_list[2].credential_values.api_key (now a placeholder)",
        ),
        ({"litellm_credential_name": "from outside"}, "MY_KEY (now a placeholder)"),
        ({"litellm_credential_name": "of another kind"}, None),
        ({"litellm_credential_name": "unset", "api_key": "dummy"}, None),
    ],
)
def test_a_named_credential_is_looked_into(params: dict, missing: str | None) -> None:
    """It may hold a placeholder as well, or a variable that nobody has set."""
    config = {
        "model_list": [{"model_name": "free-a", "litellm_params": {"model": "openai/x", **params}}],
        "credential_list": CREDENTIALS,
    }
    catalogue = read_catalogue(config, DEFAULT_TIERS, {"GOOD": "sk-a-key", "MY_KEY": "${MY_KEY}"})

    assert missing == catalogue.models[0].deployments[0].missing
