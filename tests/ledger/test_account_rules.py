"""What an account and a key may be given."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalix_callbacks.core.keys import new_key
from scalix_callbacks.core.tiers import DAY_S, LimitOverride, Unit
from scalix_callbacks.ledger.account_rules import (
    AccountError,
    InvalidAccountId,
    InvalidValue,
    check_account_id,
    check_budget,
    check_future,
    check_models,
    check_name,
    check_overrides,
    check_tier,
)

NOON = datetime(2030, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "account_id",
    ["a", "free_user_123", "scalix_pro_user_456", "ada@example.org", "Ω", "🙂", "a" * 128, "Operator", "-"],
)
def test_an_id_may_be(account_id: str) -> None:
    """Whatever a trusted backend calls its users."""
    check_account_id(account_id)


@pytest.mark.parametrize(
    ("account_id", "expected"),
    [
        ("", "1 to 128 characters"),
        ("a" * 129, "1 to 128 characters"),
        ("a b", "no spaces"),
        ("a\tb", "no spaces"),
        ("a\n", "no spaces"),
        ("a\x00", "invisible"),
        ("a\u00a0b", "no spaces"),
        ("a\u200bb", "invisible"),
        ("a\u202eb", "invisible"),
        ("\ud800", "invisible"),
        ("operator", "reserved"),
        ("scalix_" + "a" * 32, "shaped like an API key"),
    ],
)
def test_an_id_may_not_be(account_id: str, expected: str) -> None:
    """What cannot be told apart on a screen, is reserved or is a secret is refused with the mend."""
    with pytest.raises(InvalidAccountId, match=expected):
        check_account_id(account_id)


@given(st.text(alphabet=st.characters(codec=None), max_size=140))
def test_an_accepted_id_is_visible_and_bounded(account_id: str) -> None:
    """No accepted id can break a line of a log, a header or a table."""
    try:
        check_account_id(account_id)
    except InvalidAccountId:
        return
    assert 1 <= len(account_id) <= 128
    assert [account_id] == account_id.split()
    assert account_id.encode("utf-8").decode("utf-8").isprintable()


@given(st.binary(min_size=32, max_size=96))
def test_no_key_is_ever_an_id_nor_repeated(random_bytes: bytes) -> None:
    """A secret typed in the wrong place does not end up in an error message."""
    key = new_key(random_bytes)
    with pytest.raises(InvalidAccountId) as caught:
        check_account_id(key)

    assert key not in str(caught.value)


@pytest.mark.parametrize("tier", ["", " ", "a b", "a\n", "a" * 129])
def test_a_tier_is_one_word(tier: str) -> None:
    """Which tiers there are is checked where they are known."""
    with pytest.raises(InvalidValue, match="name a tier"):
        check_tier(tier)


def test_the_future_begins_after_now() -> None:
    """A key or tier that ended before it began is a typing error."""
    check_future(None, NOON, "It")
    check_future(NOON + timedelta(microseconds=1), NOON, "It")
    with pytest.raises(InvalidValue, match="It is in the past"):
        check_future(NOON, NOON, "It")
    with pytest.raises(InvalidValue, match="It needs a time zone"):
        check_future(datetime(2031, 1, 1), NOON, "It")


@pytest.mark.parametrize("nano_usd", [None, 0, 1, 9_000_000_000_000_000])
def test_a_budget_may_be(nano_usd: int | None) -> None:
    """From nothing to nine million."""
    check_budget(nano_usd)


@pytest.mark.parametrize("nano_usd", [-1, 9_000_000_000_000_001, 10**30])
def test_a_budget_may_not_be(nano_usd: int) -> None:
    """What the counters could not hold exactly is refused."""
    with pytest.raises(InvalidValue, match="between 0 and 9,000,000 USD"):
        check_budget(nano_usd)


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a" * 129, "\x1b[31m"])
def test_a_name_is_one_visible_line(name: str) -> None:
    """A name cannot paint the operator's terminal."""
    check_name(None)
    check_name("Ada's laptop")
    with pytest.raises(InvalidValue, match="one line"):
        check_name(name)


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        ([], "leave the list out"),
        (["a"] * 101, "leave the list out"),
        ([""], "no spaces"),
        (["a b"], "no spaces"),
        (["a" * 257], "no spaces"),
    ],
)
def test_a_list_of_models_names_some(models: list[str], expected: str) -> None:
    """An empty list could be read as none or as all, so it is refused."""
    check_models(None)
    check_models(["free-*", "openrouter/*"])
    with pytest.raises(InvalidValue, match=expected):
        check_models(models)


def test_all_refusals_are_one_family() -> None:
    """One except clause is enough for a caller."""
    assert issubclass(AccountError, ValueError)
    assert {True} == {issubclass(kind, AccountError) for kind in (InvalidAccountId, InvalidValue)}


@pytest.mark.parametrize("amount", [0, 2**53 - 1, None])
def test_a_limit_of_an_account_may_be(amount: int | None) -> None:
    """Closed, the most a script counts, or lifted."""
    check_overrides([LimitOverride(Unit.TOKENS, 366 * DAY_S, amount)])


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([LimitOverride(Unit.TOKENS, DAY_S, -1)], "from 0 to"),
        ([LimitOverride(Unit.TOKENS, DAY_S, 2**53)], "from 0 to"),
        ([LimitOverride(Unit.TOKENS, 0, 1)], "window"),
        ([LimitOverride(Unit.TOKENS, 366 * DAY_S + 1, 1)], "window"),
        ([LimitOverride(Unit.TOKENS, DAY_S, 1), LimitOverride(Unit.TOKENS, DAY_S, None)], "named twice"),
        ([LimitOverride(Unit.TOKENS, window_s, 1) for window_s in range(1, 22)], "at most 20"),
    ],
)
def test_a_limit_of_an_account_may_not_be(overrides: list[LimitOverride], expected: str) -> None:
    """A sentence says why."""
    with pytest.raises(InvalidValue, match=expected):
        check_overrides(overrides)
