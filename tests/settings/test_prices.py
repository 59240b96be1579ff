"""The price table of the YAML, and the one sentence for each way to get it wrong."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from scalix_callbacks.core.tiers import DEFAULT_TIERS
from scalix_callbacks.settings import DEFAULT_CONFIG, SettingsError
from scalix_callbacks.settings.price_block import read_prices
from scalix_callbacks.settings.tier_block import read_tiers
from scalix_callbacks.settings.yaml_file import read_config

NOW_S = datetime(2026, 12, 1, 12, 0, tzinfo=UTC).timestamp()


def entry(**fields: Any) -> dict[str, Any]:
    return {"model": "m", "input_usd_per_1k": 1, "output_usd_per_1k": 2, **fields}


def read(*entries: Any) -> Any:
    return read_prices({"prices": list(entries)}, DEFAULT_TIERS)


def test_a_price_is_exact() -> None:
    """Numbers and texts alike; an input from a cache costs what input does where nothing else is said."""
    text = """
    - {model: a, input_usd_per_1k: 0.000000001, output_usd_per_1k: "0.1", usd_per_request: 0.000000002}
    - {model: b, input_usd_per_1k: 1e-7, output_usd_per_1k: 1000, cached_input_usd_per_1k: 0}
    """
    table = read(*yaml.safe_load(text))
    a, b = table.rates("a", None, 0), table.rates("b", None, 0)

    assert (10**6, 10**6, 10**14, 2) == (a.input, a.cached_input, a.output, a.request_nano_usd)
    assert (10**8, 0, 10**18, 0) == (b.input, b.cached_input, b.output, b.request_nano_usd)


@pytest.mark.parametrize("day", ["2026-12-01", yaml.safe_load("2026-12-01")])
def test_a_price_holds_from_midnight_utc_on(day: Any) -> None:
    """A call that arrived the moment before has the price before."""
    table = read(entry(), entry(**{"from": day, "input_usd_per_1k": 5}))
    midnight_s = NOW_S - 12 * 3_600

    assert [10**15, 5 * 10**15] == [table.rates("m", None, at).input for at in (midnight_s - 1, midnight_s)]


def test_a_price_can_be_taken_back() -> None:
    """From then on, nobody knows."""
    gone = {"model": "gpt-4", "input_usd_per_1k": None, "output_usd_per_1k": None}

    assert read(gone).rates("gpt-4", None, NOW_S) is None


NOTHING = {"model": "m"}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("text", "scalix.prices[0]: must be a mapping with model and its prices. Correct it."),
        (entry(model=""), "scalix.prices[0].model: must be a model name or pattern such as free-*. Add it."),
        (entry(model=4), "scalix.prices[0].model: must be a model name or pattern such as free-*. Add it."),
        (
            entry(tier="gold"),
            "scalix.prices[0].tier: there is no tier 'gold'. Write one of free, pro, premium.",
        ),
        (
            entry(tier=["pro"]),
            "scalix.prices[0].tier: there is no tier ['pro']. Write one of free, pro, premium.",
        ),
        (entry(input_usd=1), "scalix.prices[0].input_usd: unknown key. Did you mean input_usd_per_1k?"),
        (
            NOTHING,
            "scalix.prices[0]: input_usd_per_1k is missing. Add it: 0 costs nothing, null for both is not"
            " known.",
        ),
        (
            entry(output_usd_per_1k=None),
            "scalix.prices[0]: of input_usd_per_1k and output_usd_per_1k only one is known. Write both, or"
            " null for both and no other price.",
        ),
        (
            entry(input_usd_per_1k=-1),
            "scalix.prices[0].input_usd_per_1k: -1 must be an amount of USD from 0 to 1000. Correct it.",
        ),
        (
            entry(usd_per_request=1_001),
            "scalix.prices[0].usd_per_request: 1001 must be an amount of USD from 0 to 1000. Correct it.",
        ),
        (
            entry(output_usd_per_1k="0.0000000001"),
            "scalix.prices[0].output_usd_per_1k: '0.0000000001' has more than nine decimals. Round it.",
        ),
        *(
            (
                entry(cached_input_usd_per_1k=value),
                f"scalix.prices[0].cached_input_usd_per_1k: {value!r} is not a number. Write e.g. 0.02.",
            )
            for value in ("free", True, [1], {}, "nan", float("inf"), "1,5")
        ),
        *(
            (
                entry(**{"from": value}),
                f"scalix.prices[0].from: {str(value)!r} is no date (UTC). Write e.g. 2026-12-01.",
            )
            for value in ("soon", 5, "1969-12-31", datetime(2026, 12, 1, tzinfo=UTC))
        ),
    ],
)
def test_a_wrong_price_is_one_sentence(wrong: Any, said: str) -> None:
    """What is wrong, where, and the mend."""
    with pytest.raises(SettingsError) as caught:
        read(wrong)

    assert said == str(caught.value)


def test_two_prices_for_the_same_are_refused() -> None:
    """Model, tier and date."""
    with pytest.raises(SettingsError) as caught:
        read(entry(tier="pro"), entry(), entry(tier="pro", input_usd_per_1k=3))

    assert (
        "scalix.prices[2]: scalix.prices[0] is a price for the same model, tier and date. Remove one, or give"
        " it another from." == str(caught.value)
    )


@pytest.mark.parametrize("block", [{}, "much", 5, [entry()] * 10_001])
def test_prices_are_a_list(block: object) -> None:
    """With a bound."""
    with pytest.raises(SettingsError, match=r"scalix\.prices: must be a list of at most 10000 prices"):
        read_prices({"prices": block}, DEFAULT_TIERS)


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.none())


@given(st.dictionaries(st.sampled_from(["model", "tier", "from", *entry(), "usd_per_request"]), VALUES))
def test_whatever_stands_there_is_read_or_refused(fields: dict[str, Any]) -> None:
    """Never anything else."""
    try:
        read({**entry(), **fields})
    except SettingsError as error:
        assert str(error).startswith("scalix.prices[0]")


def test_the_shipped_prices_are_read() -> None:
    """Those of the contract, and of each tier's own models that have a name."""
    block = read_config(Path(DEFAULT_CONFIG))["scalix"]
    table = read_prices(block, read_tiers(block))
    unpriced = [
        deployment["model_name"]
        for deployment in read_config(Path(DEFAULT_CONFIG))["model_list"]
        if table.rates(deployment["model_name"].replace("*", "x"), "premium", NOW_S) is None
    ]

    assert 3 * 10**13 == table.rates("gpt-4", "premium", NOW_S).input  # type: ignore[union-attr]
    assert ["scalix-gateway/*", "anthropic/*", "gemini/*", "openrouter/*"] == unpriced
