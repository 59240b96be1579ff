"""What calls cost: exact to the nano-dollar, by the price of their day."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalix_callbacks.core.pricing import FREE, Price, PriceTable, Rates, charged_nano_usd
from scalix_callbacks.core.tiers import DAY_S
from scalix_callbacks.core.usage import Usage

PICO = 10**6
"""Atto-USD."""
CHEAP, DEAR = Rates(PICO, PICO, PICO), Rates(10**9, 10**9, 10**9)
COUNTS = st.none() | st.integers(0, 10**8)


def test_the_parts_of_a_call_have_their_own_rates() -> None:
    """100 of the prompt, 30 of them read from a cache and 20 put there; 50 answered, 10 of them thought."""
    rates = Rates(2 * 10**9, 10**9, 3 * 10**9, 7, cache_write=4 * 10**9, reasoning=5 * 10**9)

    assert 100 + 30 + 80 + 120 + 50 + 7 == rates.nano_usd(Usage(100, 50, 30, 10, cache_written_tokens=20))
    assert 100 + 30 + 40 + 150 == Rates(2 * 10**9, 10**9, 3 * 10**9).nano_usd(
        Usage(100, 50, 30, 10, cache_written_tokens=20)
    )


@pytest.mark.parametrize(("tokens", "nano"), [(0, 0), (1, 0), (499, 0), (500, 1), (1_499, 1), (1_500, 2)])
def test_a_call_is_rounded_once_and_half_up(tokens: int, nano: int) -> None:
    """A thousandth of a nano-dollar for each token."""
    assert (
        nano == CHEAP.nano_usd(Usage(tokens, 0)) == CHEAP.nano_usd(Usage(tokens // 2, tokens - tokens // 2))
    )


def test_long_prompts_have_rates_of_their_own() -> None:
    """For all tokens of the call, from one token more on."""
    rates = Rates(10**9, 10**9, 10**9, above=((100, DEAR), (200, Rates(3 * 10**9, 0, 0))))

    assert [110, 111, 210, 603] == [rates.nano_usd(Usage(prompt, 10)) for prompt in (100, 101, 200, 201)]


@given(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, st.integers(0, 10**15))
def test_nothing_is_negative_and_nothing_is_lost(
    prompt: int | None,
    completion: int | None,
    cached: int | None,
    thought: int | None,
    written: int | None,
    rate: int,
) -> None:
    """Whatever a provider reports: at one rate for all it is the tokens times the rate."""
    usage = Usage(prompt, completion, cached, thought, cache_written_tokens=written)
    exact = Fraction(rate * usage.total_tokens, 10**9)

    assert abs(Rates(rate, rate, rate).nano_usd(usage) - exact) <= Fraction(1, 2)


def test_what_is_held_is_never_too_little() -> None:
    """A part of a nano-dollar for a token is held as a whole one."""
    assert [0, 1, 1, 2] == [Rates(0, 0, rate).output_nano_usd for rate in (0, 1, 10**9, 10**9 + 1)]


TABLE = PriceTable(
    [
        Price("gpt-*", Rates(1, 1, 1)),
        Price("gpt-4*", Rates(2, 2, 2)),
        Price("gpt-4", Rates(3, 3, 3), from_day=10),
        Price("gpt-4", Rates(4, 4, 4), from_day=20),
        Price("gpt-4", Rates(5, 5, 5), tier="pro", from_day=15),
        Price("gpt-9", None),
    ]
)


@pytest.mark.parametrize(
    ("model", "tier", "day", "rate"),
    [
        ("gpt-4", "free", 9, 2),
        ("gpt-4", "free", 10, 3),
        ("gpt-4", "free", 19.999, 3),
        ("gpt-4", "free", 20, 4),
        ("gpt-4", None, 20, 4),
        ("gpt-4", "pro", 14, 3),
        ("gpt-4", "pro", 20, 5),
        ("gpt-4.1", "free", 20, 2),
        ("gpt-5", "free", 20, 1),
        ("gpt-9", "free", 20, None),
        ("claude", "free", 20, None),
        ("free-any", "free", 20, 0),
        ("scalix-engine", "pro", 20, 20_000 * 10**9),
    ],
)
def test_the_nearest_price_of_the_day_holds(
    model: str, tier: str | None, day: float, rate: int | None
) -> None:
    """Name before pattern, the longer before the shorter, the tier's before all tiers', the later before the
    earlier; a default only where no other is."""
    found = TABLE.rates(model, tier, day * DAY_S)

    assert rate == (None if found is None else found.input)


def test_the_defaults_are_those_of_the_contract() -> None:
    """Free models 0, the engine 0.02 and gpt-4 0.03 for 1,000 tokens; whatever else is not known."""
    table = PriceTable()

    def price(model: str) -> int | None:
        rates = table.rates(model, None, 0)
        return None if rates is None else rates.nano_usd(Usage(600, 400))

    assert [0, 20_000_000, 20_000_000, 30_000_000, None] == [
        price(model) for model in ("free-x", "scalix-engine", "scalix-engine/a", "gpt-4", "gpt-4.1")
    ]


@pytest.mark.parametrize(
    ("asked", "answered", "price"),
    [(DEAR, None, 5), (None, DEAR, 5), (DEAR, FREE, 0), (FREE, DEAR, 0), (None, None, None)],
)
def test_the_lower_of_two_prices_is_charged(
    asked: Rates | None, answered: Rates | None, price: int | None
) -> None:
    """Of the model asked for and the one that answered, as far as they are known."""
    assert price == charged_nano_usd(Usage(2, 3), asked, answered)
    assert 0 == charged_nano_usd(None, asked, answered)
