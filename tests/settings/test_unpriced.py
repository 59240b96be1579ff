"""A model without a price, where what users pay is what bounds them."""

from pathlib import Path

import pytest
import yaml

from scalix_callbacks.cli.banner import models_text
from scalix_callbacks.settings import DEFAULT_CONFIG, Settings, SettingsError, load

PRICE = {"input_usd_per_1k": 0.1, "output_usd_per_1k": 0.1}
GOLD = {"models": ["gold-*"], "limits": [{"amount": 5, "unit": "usd", "window": "1mo"}]}


def read(folder: Path, *names: str, prices: list[dict] | None = None, tiers: dict | None = None) -> Settings:
    """Settings with these models, all with credentials."""
    entries = [{"model_name": n, "litellm_params": {"model": "openai/x", "api_key": "k"}} for n in names]
    block = {"prices": prices or [], "tiers": tiers or {}}
    (folder / "c.yaml").write_text(yaml.safe_dump({"model_list": entries, "scalix": block}))
    return load({}, config=folder / "c.yaml", folder=folder)


def test_a_tier_with_a_budget_offers_no_model_without_a_price(tmp_path: Path) -> None:
    """No call of it would ever be answered, so the start is refused, not each call."""
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, "gold-a", "gold-b", prices=[{"model": "gold-a", **PRICE}], tiers={"gold": GOLD})

    assert (
        "scalix.tiers.gold.limits: one is in USD, and gold-b has no price, so that every call of it would be"
        " refused. Add it to scalix.prices (null where it is not to be called), or take it out of the tier."
    ) == str(caught.value)


@pytest.mark.parametrize(
    "price",
    [
        {"model": "gold-a", **PRICE},
        {"model": "gold-*", **PRICE},
        {"model": "gold-a", "tier": "gold", **PRICE},
        {"model": "gold-a", "from": "2999-01-01", **PRICE},
        {"model": "gold-a", "input_usd_per_1k": None, "output_usd_per_1k": None},
    ],
)
def test_any_price_will_do(tmp_path: Path, price: dict) -> None:
    """By pattern, of the tier, from a later day, and one that says that nobody knows."""
    settings = read(tmp_path, "gold-a", prices=[price], tiers={"gold": GOLD})

    assert settings.catalogue.find("gold-a") is not None


def test_a_price_of_another_tier_is_none(tmp_path: Path) -> None:
    """Calls of this one would be refused all the same."""
    with pytest.raises(SettingsError, match="gold-a has no price"):
        read(tmp_path, "gold-a", prices=[{"model": "gold-a", "tier": "pro", **PRICE}], tiers={"gold": GOLD})


def test_a_whole_provider_is_judged_call_by_call(tmp_path: Path) -> None:
    """Nobody knows its models at the start."""
    assert () == read(tmp_path, "gold-x/*", tiers={"gold": GOLD}).unpriced


def test_where_use_is_paid_a_model_without_a_price_is_told(tmp_path: Path) -> None:
    """Premium is; a plan with a limit on requests or tokens is paid as such."""
    settings = read(tmp_path, "gpt-4", "gpt-4.1", "free-a", "anthropic/*")

    assert ("gpt-4.1",) == settings.unpriced
    assert "Without a price: gpt-4.1. Nobody pays for them" in models_text(settings)


def test_our_own_configuration_prices_all_it_names() -> None:
    """With every model on offer."""
    settings = load({}, folder=DEFAULT_CONFIG.parent / "docs", is_demo=True)

    assert () == settings.unpriced
    assert "Without a price" not in models_text(settings)
