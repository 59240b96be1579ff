"""What providers charge: LiteLLM's own figures, without its floats."""

import litellm
import pytest
from litellm import Router
from litellm.types.utils import Usage as LiteLLMUsage

from scalix_callbacks.core.usage import Usage, parse_usage
from scalix_callbacks.proxy.provider_rates import provider_rates

USAGES = [
    {"prompt_tokens": 1_000, "completion_tokens": 333},
    {"prompt_tokens": 12_345, "completion_tokens": 67, "prompt_tokens_details": {"cached_tokens": 10_001}},
    {"prompt_tokens": 250_001, "completion_tokens": 1_001},
    {"prompt_tokens": 10, "completion_tokens": 500, "completion_tokens_details": {"reasoning_tokens": 400}},
]
MODELS = [
    ("openai", "openai/gpt-4.1"),
    ("openai", "openai/gpt-5"),
    ("anthropic", "anthropic/claude-opus-4-6"),
    ("anthropic", "anthropic/claude-sonnet-4-6"),
    ("gemini", "gemini/gemini-2.5-flash"),
    ("gemini", "gemini/gemini-2.5-flash-lite"),
    ("gemini", "gemini/gemini-2.5-pro"),
    ("azure", "azure/gpt-4.1"),
]


@pytest.mark.parametrize(("provider", "model"), MODELS)
@pytest.mark.parametrize("raw", USAGES)
def test_the_cost_is_litellms_own(provider: str, model: str, raw: dict[str, object]) -> None:
    """To the nano-dollar: cached, long and thoughtful calls alike."""
    rates, used = provider_rates("none", model, None, provider), parse_usage(raw)
    theirs = litellm.cost_per_token(
        model=model,
        custom_llm_provider=provider,
        usage_object=LiteLLMUsage(**raw),  # type: ignore[arg-type]
    )

    assert rates is not None and used is not None
    assert abs(sum(theirs) * 10**9 - rates.nano_usd(used)) <= 1


def test_a_price_by_the_time_of_day_is_not_known() -> None:
    """DeepSeek's: the rates of a call are remembered for all hours."""
    assert provider_rates("none", "deepseek/deepseek-v4-flash", None, "deepseek") is None


def test_written_cache_has_its_own_rate() -> None:
    """Anthropic's costs a quarter more than the prompt."""
    rates = provider_rates("none", "anthropic/claude-sonnet-4-6", None, "anthropic")

    assert rates is not None
    assert 3_000 * 5 + 3_750 * 100 + 300 * 20 + 15_000 * 7 == rates.nano_usd(
        Usage(125, 7, 20, cache_written_tokens=100)
    )


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "openai/demo"),
        ("lm_studio", "lm_studio/gpt-4.1"),
        ("ollama_chat", "ollama_chat/x"),
        ("", "x"),
    ],
)
def test_what_no_map_holds_is_not_known(provider: str, model: str) -> None:
    """Nor is a local server's model that is called as another provider's is."""
    assert provider_rates("none", model, None, provider) is None


@pytest.mark.parametrize("place", ["litellm_params", "model_info"])
def test_a_deployments_own_price_goes_first(place: str) -> None:
    """Wherever it stands."""
    deployment: dict[str, dict[str, object]] = {
        "litellm_params": {"model": "openai/gpt-4.1", "api_key": "k"},
        "model_info": {"id": f"own-{place}"},
    }
    deployment[place] |= {"input_cost_per_token": 1e-07, "output_cost_per_token": 2e-07}
    Router(model_list=[{"model_name": "a", **deployment}])
    rates = provider_rates(f"own-{place}", "openai/gpt-4.1", None, "openai")

    assert rates is not None
    assert (10**11, 2 * 10**11) == (rates.input, rates.output)


def test_a_base_model_tells_the_price() -> None:
    """Of what is called by a name of its operator's."""
    named = provider_rates("none", "azure/ours", "azure/gpt-4.1", "azure")

    assert named == provider_rates("none", "azure/gpt-4.1", None, "azure") is not None


@pytest.mark.parametrize(
    "listed",
    [
        {},
        {"input_cost_per_token": 1e-06},
        {"input_cost_per_token": -1.0, "output_cost_per_token": 1.0},
        {"input_cost_per_token": "dear", "output_cost_per_token": 1.0},
        {"input_cost_per_token": float("nan"), "output_cost_per_token": 1.0},
        {"input_cost_per_token": True, "output_cost_per_token": 1.0},
        {"input_cost_per_token": 1.0, "output_cost_per_token": 1.0, "tiered_pricing": [{}]},
        {"input_cost_per_second": 1.0, "output_cost_per_second": 1.0},
    ],
)
def test_a_price_that_cannot_be_read_is_not_known(
    listed: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never a guess, and never an error."""
    monkeypatch.setitem(litellm.model_cost, "odd", listed)
    provider_rates.cache_clear()

    assert provider_rates("none", "odd", None, "openai") is None
    provider_rates.cache_clear()


def test_an_embedding_has_no_output() -> None:
    """So that none needs a price."""
    rates = provider_rates("none", "openai/text-embedding-3-small", None, "openai")

    assert rates is not None
    assert (20 * 10**9, 0) == (rates.input, rates.output)
