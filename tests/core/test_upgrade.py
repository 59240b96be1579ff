"""Who nears a limit is told where there is more."""

import pytest

from scalix_callbacks.core.figures import Figure
from scalix_callbacks.core.tiers import DAY_S, DEFAULT_TIERS, HOUR_S, Tier, TierTable, Unit
from scalix_callbacks.core.upgrade import Upgrade, UpgradePrompt, limit_words, upgrade_of, upgrade_prompt

FREE, PRO, PREMIUM = DEFAULT_TIERS["free"], DEFAULT_TIERS["pro"], DEFAULT_TIERS["premium"]


def hourly(used: int, limit: int | None = 10) -> Figure:
    return Figure(Unit.REQUESTS, HOUR_S, limit, used, 0)


@pytest.mark.parametrize(
    ("limit", "used", "expected"),
    [
        (10, 7, False),
        (10, 8, True),
        (10, 12, True),
        (9, 7, False),  # 77.8 %
        (9, 8, True),
        (1, 0, False),
        (1, 1, True),
        (0, 0, True),
        (2**53 - 1, 7_205_759_403_792_792, False),  # 80 % is 7205759403792792.8
        (2**53 - 1, 7_205_759_403_792_793, True),
        (None, 10**9, False),
    ],
)
def test_the_prompt_comes_at_eighty_percent(limit: int | None, used: int, expected: bool) -> None:
    """8 of 10 is; 7 of 9 is not."""
    assert expected is (upgrade_prompt(FREE, DEFAULT_TIERS, [hourly(used, limit)]) is not None)


def test_a_free_user_is_offered_pro() -> None:
    """In Markdown for the app, and in plain ASCII for the header."""
    assert UpgradePrompt(
        "You have used 8 of 10 requests per hour. [Upgrade to Pro](https://scalix.world/pro) for more.",
        "You have used 8 of 10 requests per hour. Upgrade to Pro: https://scalix.world/pro",
    ) == upgrade_prompt(FREE, DEFAULT_TIERS, [hourly(8)])


def test_the_prompt_is_about_the_fullest_limit() -> None:
    """Any limit counts, and the one nearest to its end is named."""
    prompt = upgrade_prompt(
        PRO, DEFAULT_TIERS, [hourly(8), Figure(Unit.TOKENS, DAY_S, 100_000, 95_000, 0), hourly(9, None)]
    )

    assert prompt is not None
    assert (
        "You have used 95,000 of 100,000 tokens per day."
        " [Upgrade to Premium](https://scalix.world/premium) for more."
    ) == prompt.message
    assert {"x-scalix-upgrade-prompt": prompt.header} == prompt.headers


def test_the_highest_tier_is_offered_nothing() -> None:
    """There is nothing above it, whatever is used up."""
    assert upgrade_prompt(PREMIUM, DEFAULT_TIERS, [Figure(Unit.USD, DAY_S, 10, 10, 0)]) is None
    assert upgrade_of(PREMIUM, DEFAULT_TIERS) is None


def test_without_an_address_there_are_words() -> None:
    """No broken link."""
    tiers = TierTable((Tier("a", ("*",), upgrade_to="b"), Tier("b", ("*",))))
    prompt = upgrade_prompt(
        tiers["a"], tiers, [Figure(Unit.USD, 30 * DAY_S, 5_000_000_000, 4_250_000_000, 0)]
    )

    assert (
        UpgradePrompt(
            "You have used $4.25 of $5.00 per 30 days. Upgrade to B for more.",
            "You have used $4.25 of $5.00 per 30 days. Upgrade to B",
        )
        == prompt
    )


def test_a_tier_that_is_not_there_is_not_offered() -> None:
    """The configuration is checked at start; an account's override might not be."""
    assert upgrade_of(Tier("a", ("*",), upgrade_to="b"), DEFAULT_TIERS) is None


def test_the_header_is_plain_and_short_whatever_is_configured() -> None:
    """No header is broken by a tier's name or address."""
    tiers = TierTable(
        (
            Tier("a", ("*",), upgrade_to="größer", upgrade_url="https://e.test/" + "é" * 500),
            Tier("größer", ("*",)),
        )
    )
    prompt = upgrade_prompt(tiers["a"], tiers, [hourly(10)])

    assert prompt is not None
    assert 256 == len(prompt.header)
    assert prompt.header.isascii() and prompt.header.isprintable()
    assert prompt.header.startswith(
        "You have used 10 of 10 requests per hour. Upgrade to Gr??er: https://e.test/?"
    )
    assert prompt.header.endswith("...")


def test_an_address_cannot_break_out_of_its_link() -> None:
    """The app renders what we send as Markdown."""
    assert "[Upgrade to Pro](https://e.test/%28a%29%20b)" == Upgrade("Pro", "https://e.test/(a) b").link


@pytest.mark.parametrize(
    ("figure", "expected"),
    [
        (hourly(0, 1), "1 request per hour"),
        (hourly(0, 0), "0 requests per hour"),
        (hourly(0, 1_000), "1,000 requests per hour"),
        (Figure(Unit.TOKENS, 900, 10_000, 0, 0), "10,000 tokens per 15 minutes"),
        (Figure(Unit.USD, DAY_S, 240_000, 0, 0), "$0.00024 per day"),
        (Figure(Unit.USD, DAY_S, 10_000_000_000, 0, 0), "$10.00 per day"),
    ],
)
def test_a_limit_in_words(figure: Figure, expected: str) -> None:
    """As it is said in messages."""
    assert expected == limit_words(figure)
