"""What must never be shown."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalix_callbacks.core.redact import Redactor
from scalix_callbacks.settings.secrets import secrets


def of_params(environ: dict[str, str] | None = None, **params: Any) -> frozenset[str]:
    return secrets({"model_list": [{"model_name": "m", "litellm_params": params}]}, environ or {})


@pytest.mark.parametrize(
    "name",
    [
        "api_key",
        "aws_secret_access_key",
        "aws_session_token",
        "azure_ad_token",
        "client_secret",
        "token_secret",
        "vertex_credentials",
        "password",
        "redis_password",
        "Authorization",
        "X-Api-Key",
        "master_key",
        "cookie",
        "slack_webhook",
    ],
)
def test_what_is_named_like_a_secret_is_one(name: str) -> None:
    """However deep it stands."""
    assert frozenset({"s3cret-value"}) == of_params(extra={"headers": [{name: "s3cret-value"}]})


@pytest.mark.parametrize(
    "name",
    ["max_tokens", "model", "input_cost_per_token", "output_cost_per_token", "tokens_per_minute", "weight"],
)
def test_what_only_counts_tokens_is_none(name: str) -> None:
    """A log without numbers would be of no use."""
    assert frozenset() == of_params(**{name: "4096000"})


def test_a_value_from_the_environment_is_the_value() -> None:
    """Not the name of the variable, which may be shown."""
    assert frozenset({"s3cret-value"}) == of_params(
        {"ANY_NAME": "s3cret-value"}, api_key="os.environ/ANY_NAME"
    )
    assert frozenset() == of_params({}, api_key="os.environ/ANY_NAME")


def test_a_bearer_token_is_secret_with_and_without_its_scheme() -> None:
    """Logs quote either."""
    assert frozenset({"Bearer s3cret", "s3cret"}) == of_params(
        extra_headers={"Authorization": "Bearer s3cret"}
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LITELLM_MASTER_KEY", "sk-m"),
        ("OPENAI_API_KEY", "sk-o"),
        ("ANY_PROVIDER_API_KEY", "x"),
        ("REDIS_PASSWORD", "x"),
        ("AWS_SECRET_ACCESS_KEY", "x"),
        ("AZURE_CLIENT_SECRET", "x"),
        ("HF_TOKEN", "x"),
    ],
)
def test_variables_named_like_secrets_are_secret(name: str, value: str) -> None:
    """LiteLLM finds some of them by itself, without a word in the YAML."""
    assert frozenset({value}) == secrets({}, {name: value})


@pytest.mark.parametrize("name", ["PATH", "TOKENIZERS_PARALLELISM", "LITELLM_PORT", "SCALIX_ENV", "KEYBOARD"])
def test_other_variables_are_not(name: str) -> None:
    """Words of everyday would be cut out of every line."""
    assert frozenset() == secrets({}, {name: "everyday-word"})


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://:p4ss@host:6379/0", {"p4ss"}),
        ("redis://user:p4ss@host", {"p4ss"}),
        ("redis://:p%40ss@host", {"p%40ss", "p@ss"}),
        ("redis://host:6379", set()),
        ("not a url", set()),
        ("http://[broken", set()),
    ],
)
@pytest.mark.parametrize("name", ["REDIS_URL", "SCALIX_DATABASE_URL"])
def test_a_password_in_an_address_is_secret(name: str, url: str, expected: set[str]) -> None:
    """As it stands there and as it is meant; the address itself is the operator's to see."""
    assert expected == secrets({}, {name: url})
    assert expected == secrets({"litellm_settings": {"cache_params": {"url": url}}}, {})


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://provider.example/v1", {"https://provider.example/v1", "provider.example"}),
        ("https://provider.example:8443/v1/", {"https://provider.example:8443/v1", "provider.example:8443"}),
        ("provider.example:8443", {"provider.example:8443"}),
        ("http://127.0.0.1:1234/v1", {"http://127.0.0.1:1234/v1", "127.0.0.1:1234"}),
        ("localhost", set()),
        ("127.0.0.1", set()),
        ("http://[broken", {"http://[broken"}),
        ("http://host:port", {"http://host:port"}),
    ],
)
@pytest.mark.parametrize("name", ["api_base", "base_url", "azure_endpoint", "redis_host"])
def test_where_providers_are_is_secret(name: str, address: str, expected: set[str]) -> None:
    """Whole, and as host and port, which is what error texts quote."""
    assert expected == of_params(**{name: address})


VALUES = st.text(max_size=12) | st.integers() | st.none() | st.booleans() | st.floats()
TREES = st.recursive(
    VALUES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["api_key", "api_base", "x", "token"]) | st.text(max_size=5), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=5), TREES, max_size=3))
def test_any_configuration_has_its_secrets(config: dict[str, Any]) -> None:
    """Whatever the YAML holds: texts, none of them empty, and they can be cut out of a line."""
    found = secrets(config, {})

    assert all(isinstance(secret, str) and secret for secret in found)
    Redactor(found)("a line")


def test_the_webhooks_address_is_a_secret() -> None:
    """Whoever knows it may write there."""
    assert {"https://hooks.example.com/T0/s3cret"} == secrets(
        {}, {"SCALIX_ALERT_WEBHOOK": " https://hooks.example.com/T0/s3cret "}
    )


def test_headers_of_spans_are_secret() -> None:
    """Collectors are paid for with keys in them."""
    environ = {
        "OTEL_EXPORTER_OTLP_HEADERS": "api-key=Abc123,x-team= Def456",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "https://u:hunter22@h",
    }

    assert {"Abc123", "Def456", "hunter22"} == secrets({}, environ)
