"""Accounts and keys, on each real database."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, event

from scalix_callbacks.core.keys import hash_key, is_key_shaped, key_hint
from scalix_callbacks.core.tiers import LimitOverride, Unit
from scalix_callbacks.ledger.accounts import (
    Account,
    AccountError,
    AccountExists,
    AccountNotFound,
    Accounts,
    ApiKey,
    Identity,
    InvalidAccountId,
    InvalidValue,
    KeyNotFound,
)
from scalix_callbacks.ledger.database import DatabaseError

NOON = datetime(2030, 1, 31, 12, 0, 0, 123_456, tzinfo=UTC)
LATER = datetime(2030, 3, 1, tzinfo=UTC)
NO_KEY = "key_0000000000000000"


class Clock(Protocol):
    """The fixture `clock`."""

    def __call__(self) -> datetime: ...
    def advance(self, **by: float) -> None: ...


def test_an_account_is_found_as_it_was_made(accounts: Accounts) -> None:
    """All that was given is kept, and nothing else set."""
    made = accounts.create_account("ada", "pro", LATER, 12_500_000_000)

    assert Account("ada", "pro", LATER, 12_500_000_000, None, NOON) == made
    assert made == accounts.find_account("ada")


def test_an_account_without_a_name_gets_a_pseudonym(accounts: Accounts) -> None:
    """Nothing in the id tells who it is."""
    ids = {accounts.create_account(None, "free").id for _ in range(3)}

    assert 3 == len(ids)
    assert all(re.fullmatch("user_[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}", each) for each in ids)


def test_an_account_is_made_once(accounts: Accounts) -> None:
    """A second account of the same id is refused, and the first one untouched."""
    made = accounts.create_account("ada", "pro")
    with pytest.raises(AccountExists, match="The account ada exists already: use it, or choose another id"):
        accounts.create_account("ada", "free")

    assert made == accounts.find_account("ada")
    assert 1 == accounts.change_no()


@pytest.mark.parametrize(
    "unknown", ["nobody", "", "operator", "a\x00", "\ud800", "x" * 200, "scalix_" + "a" * 32]
)
def test_who_is_not_there_is_not_found(accounts: Accounts, unknown: str) -> None:
    """Whatever is asked for, the answer is None and no error."""
    assert accounts.find_account(unknown) is None
    assert accounts.find_key(hash_key(unknown)) is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(st.text(alphabet=st.characters(codec=None), max_size=140))
def test_any_text_is_an_account_or_refused(accounts: Accounts, account_id: str) -> None:
    """Every id is either kept exactly as given, or refused with a sentence."""
    try:
        account = accounts.issue_key(account_id, None, "free")[2]
    except InvalidAccountId as error:
        assert str(error).endswith(".")
        assert accounts.find_account(account_id) is None
    else:
        assert account == accounts.find_account(account_id)
        assert account_id == account.id


def test_a_tier_ends_with_the_moment_given(accounts: Accounts) -> None:
    """Until then the tier holds, from then on it is free; without a moment it holds for good."""
    granted = accounts.create_account("ada", "pro", LATER)
    for_good = accounts.create_account("bob", "pro")

    assert "pro" == granted.tier_at(LATER - timedelta(microseconds=1))
    assert "free" == granted.tier_at(LATER)
    assert "pro" == for_good.tier_at(datetime.max.replace(tzinfo=UTC))


def test_a_tier_is_changed(accounts: Accounts) -> None:
    """The new tier replaces the old one with its end."""
    made = accounts.create_account("ada", "pro", LATER, 5)
    changed = accounts.set_tier("ada", "premium")

    assert replace(made, tier="premium", tier_until=None) == changed
    assert changed == accounts.find_account("ada")


def test_moments_are_kept_in_utc(accounts: Accounts) -> None:
    """The answer reads the same right after the change and later."""
    until = datetime(2030, 3, 1, 1, tzinfo=timezone(timedelta(hours=1)))
    changed = accounts.create_account("ada", "pro", until)

    assert "2030-03-01T00:00:00+00:00" == changed.tier_until.isoformat()  # type: ignore[union-attr]  # is set
    assert repr(changed) == repr(accounts.find_account("ada"))


def test_a_budget_is_one_of_the_accounts_own_limits(accounts: Accounts) -> None:
    """For 30 days or for the window named; it goes before another limit on USD of the same window."""
    other = LimitOverride(Unit.USD, 86_400, 1)
    accounts.create_account("ada", "premium", None, 7)
    by_default = accounts.override_limits("ada", [other]).own_limits
    by_day = accounts.set_budget("ada", 8, 86_400)
    without = accounts.set_budget("ada", None)

    assert (other, LimitOverride(Unit.USD, 2_592_000, 7)) == by_default
    assert (other, LimitOverride(Unit.USD, 86_400, 8)) == by_day.own_limits
    assert (86_400, (other,)) == (by_day.budget_window_s, without.own_limits)


@pytest.mark.parametrize("window_s", [0, -1, 366 * 86_400 + 1])
def test_a_budget_has_a_window_that_limits_can_have(accounts: Accounts, window_s: int) -> None:
    """Nothing is changed by another one."""
    made = accounts.create_account("ada", "premium", None, 7)
    with pytest.raises(InvalidValue, match="A budget is for 1 second to 366 days"):
        accounts.set_budget("ada", 8, window_s)

    assert made == accounts.find_account("ada")


@pytest.mark.parametrize("budget", [0, 1, 9_000_000_000_000_000, None])
def test_a_budget_is_changed(accounts: Accounts, budget: int | None) -> None:
    """No budget and a budget of nothing are two things."""
    made = accounts.create_account("ada", "premium", None, 7)

    assert replace(made, max_budget_nano_usd=budget) == accounts.set_budget("ada", budget)
    assert replace(made, max_budget_nano_usd=budget) == accounts.find_account("ada")


def test_a_suspended_account_is_resumed(accounts: Accounts, clock: Clock) -> None:
    """Suspending twice keeps the first moment; resuming ends it."""
    made = accounts.create_account("ada", "pro")
    accounts.suspend("ada")
    clock.advance(hours=1)

    assert replace(made, suspended_at=NOON) == accounts.suspend("ada")
    assert made == accounts.resume("ada")
    assert made == accounts.resume("ada")


def test_accounts_are_listed_by_page(accounts: Accounts) -> None:
    """Following the last id of each page shows every account once."""
    for name in ("cy", "ada", "eve", "bob", "dan"):
        accounts.create_account(name, "free")
    first = accounts.list_accounts(2)
    second = accounts.list_accounts(2, after=first[-1].id)
    third = accounts.list_accounts(2, after=second[-1].id)

    assert ["ada", "bob", "cy", "dan", "eve"] == [each.id for each in (*first, *second, *third)]
    assert [] == accounts.list_accounts(2, after="eve")


@pytest.mark.parametrize("limit", [0, -1, 1_001])
def test_a_page_is_bounded(accounts: Accounts, limit: int) -> None:
    """Nobody loads a million accounts by mistake."""
    with pytest.raises(InvalidValue, match="1 to 1000"):
        accounts.list_accounts(limit)


def test_a_key_leads_to_its_account(accounts: Accounts) -> None:
    """The hash of the secret finds the key and whose it is."""
    account = accounts.create_account("ada", "pro")
    secret, key = accounts.create_key("ada", "laptop", ["free-*", "gpt-5"], LATER)

    assert is_key_shaped(secret)
    assert re.fullmatch("key_[0-9a-f]{16}", key.id)
    assert ApiKey(key.id, "ada", key_hint(secret), "laptop", ("free-*", "gpt-5"), NOON, LATER, None) == key
    assert Identity(account, key) == accounts.find_key(hash_key(secret))
    assert accounts.find_key(secret) is None


def test_a_key_needs_nothing_but_an_account(accounts: Accounts) -> None:
    """Without more it has all models of the tier and no end."""
    accounts.create_account("ada", "pro")
    secret, key = accounts.create_key("ada")
    found = accounts.find_key(hash_key(secret))

    assert found is not None
    assert (None, None, None, None) == (key.name, key.models, key.expires_at, key.revoked_at)
    assert key == found.key


def test_a_key_is_found_by_one_query(accounts: Accounts, migrated: Engine) -> None:
    """Authenticating a new key costs one round trip."""
    accounts.create_account("ada", "pro")
    secret, _ = accounts.create_key("ada")
    statements: list[str] = []
    event.listen(migrated, "before_cursor_execute", lambda *call: statements.append(call[2]))
    accounts.find_key(hash_key(secret))

    assert ["SELECT"] == [each.split()[0] for each in statements if not each.startswith("BEGIN")]


def test_what_is_closed_is_found_too(accounts: Accounts, clock: Clock) -> None:
    """Whether a key may be used is for the reader to judge, who can then say why not."""
    accounts.create_account("ada", "pro")
    secret, key = accounts.create_key("ada", expires_at=NOON + timedelta(hours=1))
    clock.advance(hours=2)
    accounts.revoke_key(key.id)
    accounts.suspend("ada")
    found = accounts.find_key(hash_key(secret))

    assert found is not None
    assert NOON + timedelta(hours=1) == found.key.expires_at
    assert NOON + timedelta(hours=2) == found.key.revoked_at == found.account.suspended_at


def test_only_the_hash_is_stored(tmp_path: Path, accounts: Accounts, migrated: Engine) -> None:
    """Whoever steals the database has no key, neither in the file nor in its write-ahead log."""
    accounts.create_account("ada", "pro")
    secrets = [accounts.create_key("ada")[0], accounts.issue_key("ada", None, "free")[0]]
    secrets.append(accounts.rotate_key(accounts.list_keys("ada")[0].id)[0])
    if migrated.dialect.name == "sqlite":
        assert (tmp_path / "scalix.db-wal").stat().st_size > 0
        stored = b"".join(path.read_bytes() for path in tmp_path.glob("scalix.db*"))
    else:
        with migrated.connect() as connection:
            rows = [connection.exec_driver_sql(f"SELECT * FROM {name}") for name in ("accounts", "api_keys")]
            stored = repr([list(each) for each in rows]).encode()

    for secret in secrets:
        assert hash_key(secret).encode() in stored
        assert secret.removeprefix("scalix_").encode() not in stored


def test_keys_are_listed_newest_first(accounts: Accounts, clock: Clock) -> None:
    """Revoked ones stay in the list, those of others are not in it."""
    accounts.create_account("ada", "pro")
    accounts.issue_key("bob", None, "free")
    _, first = accounts.create_key("ada")
    clock.advance(seconds=1)
    _, second = accounts.create_key("ada")
    revoked = accounts.revoke_key(first.id)

    assert [second, revoked] == accounts.list_keys("ada")


def test_a_key_is_revoked_once_and_for_good(accounts: Accounts, clock: Clock) -> None:
    """Revoking again keeps the first moment."""
    accounts.create_account("ada", "pro")
    secret, key = accounts.create_key("ada")
    revoked = accounts.revoke_key(key.id)
    clock.advance(hours=1)

    assert replace(key, revoked_at=NOON) == revoked == accounts.revoke_key(key.id)
    found = accounts.find_key(hash_key(secret))
    assert found is not None
    assert revoked == found.key


def test_a_rotated_key_has_a_successor(accounts: Accounts) -> None:
    """The new key may do what the old one could, which is closed at the same moment."""
    account = accounts.create_account("ada", "pro")
    old_secret, old = accounts.create_key("ada", "laptop", ["free-*"], LATER)
    secret, key = accounts.rotate_key(old.id)
    found = accounts.find_key(hash_key(old_secret))

    assert found is not None
    assert NOON == found.key.revoked_at
    assert secret != old_secret
    assert replace(old, id=key.id, hint=key_hint(secret)) == key
    assert Identity(account, key) == accounts.find_key(hash_key(secret))
    with pytest.raises(InvalidValue, match="is revoked already: create a new key"):
        accounts.rotate_key(old.id)


def test_issuing_makes_the_account(accounts: Accounts) -> None:
    """One step from a name to a working key."""
    secret, key, account = accounts.issue_key(
        "ada",
        "pro",
        "free",
        tier_until=LATER,
        max_budget_nano_usd=5,
        name="n",
        models=["gpt-5"],
        expires_at=LATER,
    )

    assert Account("ada", "pro", LATER, 5, None, NOON) == account
    assert ("ada", "n", ("gpt-5",), LATER) == (key.account_id, key.name, key.models, key.expires_at)
    assert Identity(account, key) == accounts.find_key(hash_key(secret))
    assert 1 == accounts.change_no()


def test_issuing_without_an_account_makes_a_pseudonymous_one(accounts: Accounts) -> None:
    """A new account without a tier gets the default one."""
    _, key, account = accounts.issue_key(None, None, "free")

    assert account.id.startswith("user_")
    assert ("free", account.id) == (account.tier, key.account_id)


def test_issuing_keeps_an_account_as_it_is(accounts: Accounts, clock: Clock) -> None:
    """What is not asked for is not changed, also not by naming the tier it is on."""
    made = accounts.create_account("ada", "pro", LATER, 5)
    clock.advance(hours=1)

    assert made == accounts.issue_key("ada", None, "free")[2]
    assert made == accounts.issue_key("ada", "pro", "free")[2]
    assert made == accounts.find_account("ada")


def test_issuing_changes_what_is_asked_for(accounts: Accounts) -> None:
    """Another tier, another end of it, another budget."""
    made = accounts.create_account("ada", "pro", LATER, 5)

    changed = replace(made, tier="premium", tier_until=None)
    assert changed == accounts.issue_key("ada", "premium", "free")[2]
    changed = replace(changed, tier_until=LATER)
    assert changed == accounts.issue_key("ada", "premium", "free", tier_until=LATER)[2]
    changed = replace(changed, max_budget_nano_usd=0)
    assert changed == accounts.issue_key("ada", None, "free", max_budget_nano_usd=0)[2]
    assert changed == accounts.find_account("ada")


def test_issuing_renews_a_tier_that_has_ended(accounts: Accounts, clock: Clock) -> None:
    """Who fell back to free and is given pro again is on pro again."""
    accounts.create_account("ada", "pro", NOON + timedelta(hours=1))
    clock.advance(hours=1)

    assert "pro" == accounts.issue_key("ada", "pro", "free")[2].tier_at(clock())


def test_an_end_without_its_tier_is_refused(accounts: Accounts) -> None:
    """It would be unclear which tier ends."""
    with pytest.raises(InvalidValue, match="needs the tier"):
        accounts.issue_key("ada", None, "free", tier_until=LATER)


def test_issuing_is_all_or_nothing(migrated: Engine, clock: Clock) -> None:
    """When the key cannot be stored, there is no account, no other tier and no change."""
    repeating = Accounts(migrated, now=clock, random_bytes=lambda count: b"x" * count)
    _, key, made = repeating.issue_key("ada", "pro", "free")

    with pytest.raises(DatabaseError, match="nothing was changed"):
        repeating.issue_key("bob", "pro", "free")
    with pytest.raises(DatabaseError, match="nothing was changed"):
        repeating.issue_key("ada", "premium", "free", max_budget_nano_usd=1)
    assert repeating.find_account("bob") is None
    assert made == repeating.find_account("ada")
    assert [key] == repeating.list_keys("ada")
    assert 1 == repeating.change_no()


def test_issuing_at_once_makes_one_account(accounts: Accounts) -> None:
    """Eight requests for the same new user do not trip over each other."""
    with ThreadPoolExecutor(8) as threads:
        issued = list(threads.map(lambda _: accounts.issue_key("ada", "pro", "free"), range(16)))

    assert 1 == len({account for _, _, account in issued})
    assert {key for _, key, _ in issued} == {*accounts.list_keys("ada")}
    assert 16 == accounts.change_no()


Change = Callable[[Accounts], object]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda accounts: accounts.set_tier("nobody", "pro"), AccountNotFound),
        (lambda accounts: accounts.set_budget("nobody", 1), AccountNotFound),
        (lambda accounts: accounts.override_limits("nobody", []), AccountNotFound),
        (lambda accounts: accounts.restore_limits("nobody"), AccountNotFound),
        (lambda accounts: accounts.get_account("nobody"), AccountNotFound),
        (lambda accounts: accounts.suspend("nobody"), AccountNotFound),
        (lambda accounts: accounts.resume("nobody"), AccountNotFound),
        (lambda accounts: accounts.create_key("nobody"), AccountNotFound),
        (lambda accounts: accounts.list_keys("nobody"), AccountNotFound),
        (lambda accounts: accounts.revoke_key(NO_KEY), KeyNotFound),
        (lambda accounts: accounts.rotate_key(NO_KEY), KeyNotFound),
        (lambda accounts: accounts.revoke_key(""), KeyNotFound),
        (lambda accounts: accounts.revoke_key("key_\x00"), KeyNotFound),
        (lambda accounts: accounts.create_account("a b", "pro"), InvalidAccountId),
        (lambda accounts: accounts.issue_key("operator", None, "free"), InvalidAccountId),
        (lambda accounts: accounts.suspend("a\x00"), InvalidAccountId),
        (lambda accounts: accounts.list_accounts(5, after="a\x00"), InvalidAccountId),
        (lambda accounts: accounts.create_account("new", ""), InvalidValue),
        (lambda accounts: accounts.create_account("new", "pro", NOON), InvalidValue),
        (lambda accounts: accounts.create_account("new", "pro", None, -1), InvalidValue),
        (lambda accounts: accounts.set_tier("ada", ""), InvalidValue),
        (lambda accounts: accounts.set_tier("ada", "pro", NOON), InvalidValue),
        (lambda accounts: accounts.set_budget("ada", -1), InvalidValue),
        (lambda accounts: accounts.create_key("ada", ""), InvalidValue),
        (lambda accounts: accounts.create_key("ada", models=[]), InvalidValue),
        (lambda accounts: accounts.create_key("ada", expires_at=NOON), InvalidValue),
        (lambda accounts: accounts.issue_key("ada", "", "free"), InvalidValue),
    ],
)
def test_a_refused_change_changes_nothing(
    accounts: Accounts, change: Change, expected: type[AccountError]
) -> None:
    """Every refusal is a sentence with the mend, and the database is as before."""
    made = accounts.create_account("ada", "pro")
    with pytest.raises(expected, match=r"^[A-Z].*: .*\.$"):
        change(accounts)

    assert [made] == accounts.list_accounts()
    assert [] == accounts.list_keys("ada")
    assert 1 == accounts.change_no()


def test_a_secret_in_place_of_a_key_id_is_not_repeated(accounts: Accounts) -> None:
    """A common slip does not put the secret on the screen or into a log."""
    secret, _, _ = accounts.issue_key("ada", None, "free")
    with pytest.raises(KeyNotFound, match="use the key's id") as caught:
        accounts.revoke_key(secret)

    assert secret not in str(caught.value)


def test_what_is_read_holds_no_secret() -> None:
    """Neither the hash nor the secret travels on with an identity."""
    assert "hash" not in {field.name for kind in (Account, ApiKey, Identity) for field in fields(kind)}


HOURLY = LimitOverride(Unit.REQUESTS, 3_600, 500)
DAILY = LimitOverride(Unit.TOKENS, 86_400, None)


def test_an_account_has_limits_of_its_own(accounts: Accounts) -> None:
    """New ones take the place of those of the same unit and window; the tier does not touch them."""
    accounts.create_account("ada", "free")
    accounts.override_limits("ada", [HOURLY, DAILY])
    changed = accounts.override_limits("ada", [replace(HOURLY, amount=0)])

    assert {replace(HOURLY, amount=0), DAILY} == set(changed.limit_overrides)
    assert changed == accounts.find_account("ada")
    assert changed.limit_overrides == accounts.set_tier("ada", "pro").limit_overrides


@pytest.mark.parametrize(
    ("which", "left"),
    [
        (None, ()),
        ([(Unit.REQUESTS, 3_600)], (DAILY,)),
        ([(Unit.REQUESTS, 60)], (HOURLY, DAILY)),
        ([], (HOURLY, DAILY)),
    ],
)
def test_the_tiers_limits_are_restored(
    accounts: Accounts, which: list[tuple[Unit, int]] | None, left: tuple[LimitOverride, ...]
) -> None:
    """Those that are named, or all."""
    accounts.create_account("ada", "free")
    accounts.override_limits("ada", [HOURLY, DAILY])

    assert left == accounts.restore_limits("ada", which).limit_overrides
    assert left == accounts.find_account("ada").limit_overrides  # type: ignore[union-attr]  # is there


def test_limits_pile_up_to_a_bound(accounts: Accounts) -> None:
    """What is one too many changes nothing."""
    accounts.create_account("ada", "free")
    full = accounts.override_limits("ada", [LimitOverride(Unit.TOKENS, day, 1) for day in range(1, 21)])
    with pytest.raises(InvalidValue, match="at most 20"):
        accounts.override_limits("ada", [HOURLY])

    assert full == accounts.find_account("ada")


def test_limits_set_at_once_are_all_kept(accounts: Accounts) -> None:
    """Each change reads what the one before it wrote."""
    accounts.create_account("ada", "free")
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(
                lambda window_s: accounts.override_limits("ada", [LimitOverride(Unit.TOKENS, window_s, 1)]),
                range(1, 17),
            )
        )

    found = accounts.find_account("ada")
    assert found is not None
    assert set(range(1, 17)) == {each.window_s for each in found.limit_overrides}


def test_a_key_brings_its_accounts_limits(accounts: Accounts) -> None:
    """With the query that finds the key."""
    secret = accounts.issue_key("ada", "pro", "free")[0]
    accounts.override_limits("ada", [HOURLY])
    identity = accounts.find_key(hash_key(secret))

    assert identity is not None
    assert (HOURLY,) == identity.account.limit_overrides
