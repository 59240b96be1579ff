"""Refusals say what is used up, when it comes back, and what to do."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalix_callbacks.core.errors import ErrorCategory, GatewayError, render, response_headers
from scalix_callbacks.core.limits import Counter, Denied, Standing
from scalix_callbacks.core.refusal import duration_words, refusal
from scalix_callbacks.core.tiers import DAY_S, DEFAULT_TIERS, HOUR_S, Tier, TierTable, Unit

NOON_S = 1_896_091_200.0  # 2030-01-31T12:00:00Z
FREE, PREMIUM = DEFAULT_TIERS["free"], DEFAULT_TIERS["premium"]
HOURLY = Counter(Unit.REQUESTS, HOUR_S, 10)
TOKENS = Counter(Unit.TOKENS, DAY_S, 10_000)
BUDGET = Counter(Unit.USD, 30 * DAY_S, 5_000_000_000)
PRO_LINK = "[Upgrade to Pro](https://scalix.world/pro)"


def denied(by: Counter, used: int, held: int = 0, *, retry_after_s: float | None, **more: Any) -> Denied:
    """Refused at noon by a window that began a minute before; other counters stand beside it."""
    others = (Standing(Counter(Unit.TOKENS, 60, 1), NOON_S, 1, 0), Standing(by, NOON_S - 60, used, held))
    return Denied(by, others, NOON_S, retry_after_s, **more)


def refused(decision: Denied, tier: Tier = FREE, prompt_tokens: int = 1_200) -> GatewayError:
    return refusal(decision, tier, DEFAULT_TIERS, prompt_tokens=prompt_tokens)


def test_a_free_user_out_of_requests_is_offered_pro() -> None:
    """In the words the app's users know, with a link, and when the limit resets."""
    error = refused(denied(HOURLY, 9, 1, retry_after_s=2_460.25))

    assert ErrorCategory.RATE_LIMIT_EXCEEDED is error.category
    assert (
        "Rate limit exceeded. Please upgrade to Pro. You have used up your 10 requests per hour."
        f" The limit resets in 42 minutes. {PRO_LINK} for more."
    ) == error.message
    assert 2_460.25 == error.retry_after_s
    assert "https://scalix.world/pro" == error.upgrade_url
    assert {
        "unit": "requests",
        "window_s": 3_600,
        "limit": 10,
        "used": 10,
        "remaining": 0,
        "resets_at": "2030-01-31T12:59:00.000Z",
    } == error.limit
    assert {
        "retry-after": "2461",
        "retry-after-ms": "2460250",
        "x-should-retry": "false",
    } == response_headers(error)
    assert ["upgrade", "usage", "retry"] == [action["action"] for action in render(error, "r")["actions"]]


def test_a_request_larger_than_the_rest_says_what_it_needs() -> None:
    """Tokens that other calls hold are not told as used."""
    error = refused(denied(TOKENS, 9_700, 250, retry_after_s=86_340))

    assert (
        "Rate limit exceeded. Please upgrade to Pro. You have 300 of your 10,000 tokens per day left; this"
        " request needs more, about 1,200 for its prompt and the rest for its answer. The limit resets in"
        f" 23 hours 59 minutes. {PRO_LINK} for more."
    ) == error.message
    assert error.limit is not None
    assert (9_700, 300) == (error.limit["used"], error.limit["remaining"])


def test_tokens_that_are_all_used_up_are_said_to_be() -> None:
    """Also when an estimate's error went past the limit."""
    assert (
        "Rate limit exceeded. Please upgrade to Pro. You have used up your 10,000 tokens per day."
        f" The limit resets in 1 hour. {PRO_LINK} for more."
    ) == refused(denied(TOKENS, 10_200, retry_after_s=3_600)).message


@pytest.mark.parametrize(
    ("by", "words"),
    [(TOKENS, "tokens (10,000 tokens per day)"), (BUDGET, "budget ($5.00 per 30 days)")],
)
def test_what_only_other_calls_hold_comes_back_soon(by: Counter, words: str) -> None:
    """Retry shortly; upgrading is not the answer, and a budget is not used up."""
    error = refused(denied(by, 4, 9_990, retry_after_s=0.5, is_held=True))

    assert ErrorCategory.RATE_LIMIT_EXCEEDED is error.category
    assert (
        "Rate limit exceeded for the moment: other calls of yours that are still running hold the rest of"
        f" your {words}. Retry shortly, when they have ended."
    ) == error.message
    assert {"retry-after": "1", "retry-after-ms": "500"} == response_headers(error)
    assert error.upgrade_url is None


def test_a_held_refusal_always_says_when_to_retry() -> None:
    """A second, where the limiter knows no better."""
    assert 1.0 == refused(denied(TOKENS, 0, 9_990, retry_after_s=None, is_held=True)).retry_after_s


def test_a_prompt_above_the_whole_limit_is_too_large() -> None:
    """With both numbers; waiting does not help."""
    error = refused(denied(TOKENS, 0, retry_after_s=None, is_too_large=True), prompt_tokens=12_345)

    assert ErrorCategory.PROMPT_TOO_LARGE is error.category
    assert 413 == error.status
    assert (
        "The prompt is about 12,345 tokens, more than your whole limit of 10,000 tokens per day."
        f" Shorten it and send it again. {PRO_LINK} for more."
    ) == error.message
    assert {"x-should-retry": "false"} == response_headers(error)
    assert error.limit is not None
    assert 10_000 == error.limit["limit"]


def test_a_prompt_that_leaves_no_room_for_an_answer_is_too_large() -> None:
    """It fits, but never with an answer."""
    error = refused(denied(TOKENS, 0, retry_after_s=None), prompt_tokens=9_900)

    assert ErrorCategory.PROMPT_TOO_LARGE is error.category
    assert error.message.startswith(
        "The prompt is about 9,900 tokens, which leaves no room for an answer within your limit of 10,000"
        " tokens per day. Shorten it"
    )


@pytest.mark.parametrize(("unit", "is_too_large"), [(Unit.REQUESTS, False), (Unit.TOKENS, True)])
def test_a_closed_limit_says_that_waiting_does_not_help(unit: Unit, is_too_large: bool) -> None:
    """A limit of 0 admits nothing, ever."""
    decision = denied(Counter(unit, DAY_S, 0), 0, retry_after_s=None, is_too_large=is_too_large)
    error = refused(decision)

    assert ErrorCategory.RATE_LIMIT_EXCEEDED is error.category
    assert (
        f"Rate limit exceeded. Please upgrade to Pro. Your plan has no {unit.value} at all, so that waiting"
        f" does not help. {PRO_LINK} for more."
    ) == error.message
    assert {"x-should-retry": "false"} == response_headers(error)
    assert refused(decision, PREMIUM).message.endswith("Ask the operator of this gateway.")


@pytest.mark.parametrize(
    ("by", "used", "retry_after_s", "expected"),
    [
        (
            BUDGET,
            4_999_000_000,
            2 * DAY_S,
            "ExceededBudget: your budget of $5.00 per 30 days is used up, or what is left is too little for"
            " this request. Raise it, or wait: it resets in 2 days.",
        ),
        (
            BUDGET,
            0,
            None,
            "ExceededBudget: this request may cost more than your whole budget of $5.00 per 30 days. Shorten"
            " it, ask for less output or raise the budget.",
        ),
        (
            Counter(Unit.USD, DAY_S, 0),
            0,
            None,
            "ExceededBudget: this account has no budget. Raise it to make calls.",
        ),
    ],
)
def test_a_budget_is_a_matter_of_payment(
    by: Counter, used: int, retry_after_s: float | None, expected: str
) -> None:
    """402, with the words the app looks for."""
    error = refused(denied(by, used, retry_after_s=retry_after_s), PREMIUM)

    assert ErrorCategory.BUDGET_EXCEEDED is error.category
    assert expected == error.message
    assert retry_after_s == error.retry_after_s


def test_an_amount_of_money_is_a_decimal_string() -> None:
    """Exact, in USD."""
    limit = refused(denied(BUDGET, 1_250_000_000, retry_after_s=5), PREMIUM).limit

    assert limit is not None
    assert ("5.000000", "1.250000", "3.750000") == (limit["limit"], limit["used"], limit["remaining"])


def test_the_highest_tier_is_told_to_wait() -> None:
    """There is nothing to upgrade to."""
    error = refused(denied(HOURLY, 10, retry_after_s=30), PREMIUM)

    assert (
        "Rate limit exceeded. You have used up your 10 requests per hour. The limit resets in 30 seconds."
        == error.message
    )
    assert error.upgrade_url is None


def test_without_an_address_nothing_is_linked() -> None:
    """The tier is named all the same."""
    tiers = TierTable((Tier("a", ("*",), upgrade_to="b"), Tier("b", ("*",))))
    error = refusal(denied(HOURLY, 10, retry_after_s=30), tiers["a"], tiers, prompt_tokens=1)

    assert (
        "Rate limit exceeded. Please upgrade to B. You have used up your 10 requests per hour."
        " The limit resets in 30 seconds."
    ) == error.message


def test_a_refusal_without_its_standing_is_still_one() -> None:
    """The limiter leaves out what has nothing kept in it."""
    error = refused(Denied(HOURLY, (), NOON_S, 5.0))

    assert error.limit is not None
    assert (0, 10, "2030-01-31T13:00:00.000Z") == tuple(
        error.limit[name] for name in ("used", "remaining", "resets_at")
    )


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "1 second"),
        (0.4, "1 second"),
        (1.2, "2 seconds"),
        (59, "59 seconds"),
        (59.5, "1 minute"),
        (61, "2 minutes"),
        (3_540, "59 minutes"),
        (3_541, "1 hour"),
        (3_900, "1 hour 5 minutes"),
        (7_260, "2 hours 1 minute"),
        (172_740, "47 hours 59 minutes"),
        (172_741, "2 days"),
        (172_801, "3 days"),
    ],
)
def test_a_wait_is_told_in_plain_words(seconds: float, expected: str) -> None:
    """Rounded up: whoever waits that long has waited long enough."""
    assert expected == duration_words(seconds)


@given(
    st.builds(
        Counter,
        st.sampled_from(Unit),
        st.sampled_from([60, HOUR_S, DAY_S, 30 * DAY_S]),
        st.integers(0, 2**53),
    ),
    st.integers(0, 2**53),
    st.integers(0, 2**53),
    st.none() | st.floats(0, 1e9),
    st.booleans(),
    st.booleans(),
    st.sampled_from([*DEFAULT_TIERS.values()]),
)
def test_any_refusal_can_be_told(
    by: Counter,
    used: int,
    held: int,
    retry_after_s: float | None,
    is_held: bool,
    is_too_large: bool,
    tier: Tier,
) -> None:
    """In one sentence or more that ends, with the limit that refused."""
    decision = denied(by, used, held, retry_after_s=retry_after_s, is_held=is_held, is_too_large=is_too_large)
    error = refused(decision, tier)

    assert error.message[-1] == "."
    assert error.limit is not None
    assert by.unit.value == error.limit["unit"]
    assert (by.unit is Unit.USD and not is_held) is (error.category is ErrorCategory.BUDGET_EXCEEDED)
    assert error.category is not ErrorCategory.BUDGET_EXCEEDED or "ExceededBudget:" in error.message
