"""Who is calling and what they may ask: the whole decision table."""

import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalix_callbacks.core.auto import AUTO_NAMES, AutoModels, Candidate, is_auto
from scalix_callbacks.core.caller import OPERATOR, Caller, Role
from scalix_callbacks.core.catalogue import Catalogue, Deployment, Model
from scalix_callbacks.core.claims import Claims
from scalix_callbacks.core.errors import ErrorCategory, GatewayError
from scalix_callbacks.core.keys import hash_key
from scalix_callbacks.core.routes import Access, Endpoint, Route, find_route
from scalix_callbacks.core.tiers import (
    DEFAULT_TIERS,
    HOUR_S,
    LimitOverride,
    Tier,
    TierTable,
    Unit,
    matches_any,
)
from scalix_callbacks.gateway import Gateway
from scalix_callbacks.ledger.errors import DatabaseError
from scalix_callbacks.ledger.identity import Account, ApiKey, Identity
from tests.world import CATALOGUE, MASTER_KEY, NOON, World, model, open_world

UNKNOWN_KEY = "scalix_" + "u" * 43
HELLO = [{"role": "user", "content": "Hello"}]
Category = ErrorCategory


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with open_world(tmp_path) as world:
        yield world


async def refusal(deciding: Any) -> GatewayError:
    with pytest.raises(GatewayError) as refused:
        await deciding
    return refused.value


def user(tier: str = "free", models: tuple[str, ...] | None = None) -> Caller:
    return Caller(id="ada", tier=tier, role=Role.USER, models=models)


def refused_model(gateway: Gateway, caller: Caller, name: str) -> GatewayError | None:
    try:
        gateway.check_model(caller, name)
    except GatewayError as error:
        return error
    return None


# --- a credential ---------------------------------------------------------------------------------


async def test_a_key_is_its_accounts(world: World) -> None:
    """The caller is the account, on the account's tier, whatever the key looks like."""
    secret = world.key("ada", "pro", models=["gpt-4.1", "free-*"])
    expected = Caller(
        id="ada",
        tier="pro",
        role=Role.USER,
        key_id=world.key_id(secret),
        key_hash=hash_key(secret),
        models=("gpt-4.1", "free-*"),
    )

    assert expected == await world.gateway.identify(Claims(credential=secret))


async def test_a_caller_has_the_accounts_own_limits(world: World) -> None:
    """By its key as by its name, when the operator acts for it."""
    secret = world.key("ada", "pro")
    hourly = LimitOverride(Unit.REQUESTS, HOUR_S, 500)
    world.accounts.override_limits("ada", [hourly])
    by_key = await world.gateway.identify(Claims(credential=secret))
    by_name = await world.gateway.act_for(Claims(credential=MASTER_KEY), "ada")

    assert [(hourly,)] * 2 == [by_key.limit_overrides, by_name.limit_overrides]


async def test_the_master_key_is_the_operators(world: World) -> None:
    """Full access, no tier."""
    assert OPERATOR == await world.gateway.identify(Claims(credential=MASTER_KEY))


@pytest.mark.parametrize(
    "credential",
    [
        None,
        "",
        " ",
        UNKNOWN_KEY,
        MASTER_KEY + "x",
        MASTER_KEY[:-1],
        MASTER_KEY.upper(),
        f" {MASTER_KEY}",
        "scalix_pro_user_456",
        "scalix_short",
        "sk-" + "x" * 40,
        "\xff\xfe",
        "\ud800",
        "x" * 4_096,
    ],
)
async def test_whoever_has_no_key_is_told_so_in_the_apps_words(world: World, credential: str | None) -> None:
    """The app looks for "LiteLLM Virtual Key expected"."""
    error = await refusal(world.gateway.identify(Claims(credential=credential)))

    assert (401, Category.INVALID_API_KEY) == (error.status, error.category)
    assert "LiteLLM Virtual Key expected" in error.message


async def test_a_revoked_key_is_no_key(world: World) -> None:
    """From the moment the worker knows of it."""
    secret = world.key()
    world.accounts.revoke_key(world.key_id(secret))
    world.directory.forget_all()

    assert (
        Category.INVALID_API_KEY
        == (await refusal(world.gateway.identify(Claims(credential=secret)))).category
    )


async def test_a_key_ends_at_its_moment(world: World) -> None:
    """One second before it works, at the moment it does not; no query is needed to know."""
    secret = world.key(expires_at=NOON.replace(hour=13))
    await world.gateway.identify(Claims(credential=secret))
    world.clock.advance(minutes=59, seconds=59)
    assert "ada" == (await world.gateway.identify(Claims(credential=secret))).id
    world.clock.advance(seconds=1)

    assert (
        Category.INVALID_API_KEY
        == (await refusal(world.gateway.identify(Claims(credential=secret)))).category
    )


async def test_a_suspended_account_is_told_so(world: World) -> None:
    """It is no wrong key: support can reactivate it, and then it works again."""
    secret = world.key()
    world.accounts.suspend("ada")
    world.directory.forget_all()
    error = await refusal(world.gateway.identify(Claims(credential=secret)))
    world.accounts.resume("ada")
    world.directory.forget_all()

    assert (403, Category.ACCOUNT_SUSPENDED) == (error.status, error.category)
    assert "ada" == (await world.gateway.identify(Claims(credential=secret))).id


async def test_a_tier_granted_until_a_date_ends_at_it(world: World) -> None:
    """Then the account is free again, without anyone doing anything."""
    secret = world.key("ada", "pro", tier_until=NOON.replace(hour=13))
    before = (await world.gateway.identify(Claims(credential=secret))).tier
    world.clock.advance(hours=1)

    assert ("pro", "free") == (before, (await world.gateway.identify(Claims(credential=secret))).tier)


async def test_a_tier_that_left_the_configuration_gives_the_least(tmp_path: Path) -> None:
    """An account of the former tier "gold" keeps working, on the lowest tier."""
    with open_world(tmp_path) as world:
        secret = world.key("ada", "gold")

        assert "free" == (await world.gateway.identify(Claims(credential=secret))).tier


async def test_where_there_is_no_free_tier_the_lowest_one_catches(tmp_path: Path) -> None:
    """Tiers are the operator's to name."""
    tiers = TierTable((Tier("basic", ("free-*",)), Tier("all", ("*",))))
    with open_world(tmp_path, tiers=tiers) as world:
        secret = world.key("ada", "all", tier_until=NOON.replace(hour=13))
        world.clock.advance(hours=2)
        on_behalf = await world.gateway.act_for(Claims(credential=MASTER_KEY), "scalix_bob")

        assert "basic" == (await world.gateway.identify(Claims(credential=secret))).tier
        assert "basic" == on_behalf.tier


class NoDatabase:
    """A directory whose database is away."""

    async def find_key(self, key_hash: str) -> Identity | None:
        raise DatabaseError("The database sqlite:///secret-place cannot be opened.")

    async def find_account(self, account_id: str) -> Account | None:
        raise DatabaseError("The database sqlite:///secret-place cannot be opened.")


def gateway_on(callers: Any, catalogue: Catalogue = CATALOGUE, tiers: TierTable = DEFAULT_TIERS) -> Gateway:
    return Gateway(
        master_key=MASTER_KEY,
        tiers=tiers,
        catalogue=catalogue,
        callers=callers,
        internal_fields=frozenset(),
        now=lambda: NOON,
    )


async def test_without_a_database_a_key_cannot_be_told_from_a_wrong_one() -> None:
    """Such a user is asked to come back, not told that the key is bad; the operator goes on."""
    gateway = gateway_on(NoDatabase())
    by_key = await refusal(gateway.identify(Claims(credential=UNKNOWN_KEY)))
    by_name = await refusal(gateway.act_for(Claims(credential=MASTER_KEY), "ada"))

    assert (503, 503) == (by_key.status, by_name.status)
    assert (5.0, 5.0) == (by_key.retry_after_s, by_name.retry_after_s)
    assert "secret-place" not in by_key.message + by_name.message
    assert OPERATOR == await gateway.identify(Claims(credential=MASTER_KEY))
    assert Category.INVALID_API_KEY == (await refusal(gateway.identify(Claims(credential="sk-x")))).category


class OneAccount:
    """A directory that knows one free account and its key."""

    def __init__(self) -> None:
        self.account = Account("ada", "free", None, None, None, NOON)
        key = ApiKey("key_0123456789abcdef", "ada", "scalix_…kkkk", None, None, NOON, None, None)
        self.identity = Identity(self.account, key)

    async def find_key(self, key_hash: str) -> Identity | None:
        return self.identity if key_hash == hash_key("scalix_" + "k" * 43) else None

    async def find_account(self, account_id: str) -> Account | None:
        return self.account if account_id == "ada" else None


CLAIMED = st.one_of(
    st.none(), st.text(max_size=20), st.sampled_from(["pro", "premium", "operator", MASTER_KEY])
)


@given(CLAIMED, CLAIMED, CLAIMED, st.booleans(), CLAIMED)
async def test_nothing_a_user_claims_changes_who_they_are(
    user_key: str | None, user_id: str | None, user_tier: str | None, is_app: bool, request_id: str | None
) -> None:
    """With a user's key no header makes another caller of it."""
    claims = Claims("scalix_" + "k" * 43, user_key, user_id, user_tier, is_app, request_id)
    plain = Claims("scalix_" + "k" * 43)
    gateway = gateway_on(OneAccount())

    assert await gateway.identify(plain) == await gateway.identify(claims)
    assert "free" == (await gateway.identify(claims)).tier


@given(st.text(alphabet=st.characters(codec=None)))
async def test_any_credential_is_decided_on(credential: str) -> None:
    """Whatever stands in the header: the operator's key, a user's, or 401."""
    error = await refusal(gateway_on(OneAccount()).identify(Claims(credential=credential)))

    assert Category.INVALID_API_KEY == error.category


@pytest.mark.parametrize(
    ("credential", "expected"),
    [(MASTER_KEY, True), (None, False), ("", False), (UNKNOWN_KEY, False), ("\udfff", False)],
)
def test_the_master_key_is_told_without_asking_the_database(credential: str | None, expected: bool) -> None:
    """Health and web sockets must not wait for it."""
    assert expected is gateway_on(NoDatabase()).is_operators(Claims(credential=credential))


# --- the operator, for a user ----------------------------------------------------------------------


async def act_for(world: World, named: object = None, **claims: Any) -> Caller:
    return await world.gateway.act_for(Claims(credential=MASTER_KEY, **claims), named)


async def test_without_a_user_the_operator_is_itself(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Recorded as `operator`, limited by nothing."""
    assert OPERATOR == await act_for(world)
    assert [] == caplog.records


async def test_the_master_key_in_the_desktop_app_is_warned_of(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """It must never be shipped there; the log says so, once per such call, without the key."""
    with caplog.at_level(logging.WARNING):
        await act_for(world, is_desktop_app=True)
        await act_for(world, "ada", is_desktop_app=True)

    assert 1 == len(caplog.records)
    assert "must never be" in caplog.text
    assert MASTER_KEY not in caplog.text


@pytest.mark.parametrize(
    ("named", "claims", "expected"),
    [
        # the tier of the account wins over all that is claimed
        ("on_pro", {}, ("on_pro", "pro")),
        ("on_pro", {"user_tier": "free"}, ("on_pro", "pro")),
        (None, {"user_id": "on_pro"}, ("on_pro", "pro")),
        ("scalix_on_free", {"user_tier": "premium"}, ("scalix_on_free", "free")),
        # without an account: what the operator says
        ("bob", {"user_tier": "premium"}, ("bob", "premium")),
        ("bob", {"user_tier": "pro"}, ("bob", "pro")),
        ("scalix_bob", {"user_tier": "free"}, ("scalix_bob", "free")),
        # then the prefix
        ("scalix_bob", {}, ("scalix_bob", "pro")),
        ("scalix_", {}, ("scalix_", "pro")),
        (None, {"user_id": "scalix_bob"}, ("scalix_bob", "pro")),
        # then free
        ("bob", {}, ("bob", "free")),
        ("SCALIX_bob", {}, ("SCALIX_bob", "free")),
        (None, {"user_id": "bob"}, ("bob", "free")),
        ("bob", {"user_id": "bob"}, ("bob", "free")),
        ("zoë@example.com", {}, ("zoë@example.com", "free")),
        ("x" * 128, {}, ("x" * 128, "free")),
        # a tier without a user changes nothing
        (None, {"user_tier": "pro"}, ("operator", None)),
    ],
)
async def test_the_tier_of_whom_the_operator_acts_for(
    world: World, named: str | None, claims: dict[str, str], expected: tuple[str, str | None]
) -> None:
    """In this order: the account, X-User-Tier, a name that begins with scalix_, free."""
    world.accounts.create_account("on_pro", "pro")
    world.accounts.create_account("scalix_on_free", "free")
    caller = await act_for(world, named, **claims)

    assert expected == (caller.id, caller.tier)
    assert (caller.id == "operator") is caller.is_operator


async def test_acting_for_someone_makes_no_account(world: World) -> None:
    """A name in a request is no registration."""
    await act_for(world, "bob")

    assert world.accounts.find_account("bob") is None


async def test_an_accounts_past_tier_does_not_count_for_the_operator_either(world: World) -> None:
    """Until is until."""
    world.accounts.create_account("eve", "premium", NOON.replace(hour=13))
    world.clock.advance(hours=1)

    assert "free" == (await act_for(world, "eve")).tier


async def test_a_suspended_account_cannot_be_acted_for(world: World) -> None:
    """Suspended is suspended."""
    world.accounts.create_account("eve", "pro")
    world.accounts.suspend("eve")

    assert Category.ACCOUNT_SUSPENDED == (await refusal(act_for(world, "eve"))).category


async def test_a_users_key_beside_the_master_key_is_the_one_limited(world: World) -> None:
    """X-Scalix-Key is looked up; whom the body names is only recorded."""
    secret = world.key("ada", "pro", models=["free-*"])
    caller = await act_for(world, "somebody", user_key=secret, user_tier="free")

    assert ("ada", "pro", ("free-*",), "somebody") == (
        caller.id,
        caller.tier,
        caller.models,
        caller.recorded_user,
    )
    assert not caller.is_operator
    assert (await act_for(world, user_key=secret)).recorded_user is None


@pytest.mark.parametrize("user_key", ["", UNKNOWN_KEY, "scalix_short", MASTER_KEY, "ada"])
async def test_a_wrong_user_key_is_refused_even_beside_the_master_key(world: World, user_key: str) -> None:
    """A key is verified, whoever sends it."""
    assert Category.INVALID_API_KEY == (await refusal(act_for(world, "ada", user_key=user_key))).category


async def test_a_user_shaped_like_a_key_is_verified_like_one(world: World) -> None:
    """It counts as the account's, is never recorded as it stands, and 401 when it is none."""
    secret = world.key("ada", "pro")
    other = world.key("bob", "free")
    as_user = await act_for(world, secret)
    as_recorded = await act_for(world, other, user_key=secret)

    assert ("ada", "pro", None) == (as_user.id, as_user.tier, as_user.recorded_user)
    assert ("ada", "bob") == (as_recorded.id, as_recorded.recorded_user)
    assert secret not in repr(as_user) + repr(as_recorded)
    assert other not in repr(as_recorded)
    assert Category.INVALID_API_KEY == (await refusal(act_for(world, UNKNOWN_KEY))).category
    unknown_beside = await refusal(act_for(world, UNKNOWN_KEY, user_key=secret))
    assert Category.INVALID_API_KEY == unknown_beside.category


@pytest.mark.parametrize(
    ("named", "claims", "param"),
    [
        ("ada", {"user_id": "bob"}, "user"),
        ("ada", {"user_id": ""}, "user"),
        ("ada", {"user_id": "Ada"}, "user"),
        (1, {}, "user"),
        ([], {}, "user"),
        ({"id": "ada"}, {}, "user"),
        (True, {}, "user"),
        ("", {}, "user"),
        (None, {"user_id": ""}, "user"),
        ("a b", {}, "user"),
        (" ada", {}, "user"),
        ("a\nb", {}, "user"),
        ("a\u0000", {}, "user"),
        ("a\u00a0b", {}, "user"),
        ("a\u202eb", {}, "user"),
        ("a\ud800", {}, "user"),
        ("operator", {}, "user"),
        (None, {"user_id": "operator"}, "user"),
        ("x" * 129, {}, "user"),
        ("ada", {"user_tier": "gold"}, "X-User-Tier"),
        ("ada", {"user_tier": ""}, "X-User-Tier"),
        ("ada", {"user_tier": "Pro"}, "X-User-Tier"),
        (None, {"user_tier": "operator"}, "X-User-Tier"),
    ],
)
async def test_contradicting_or_impossible_claims_are_refused(
    world: World, named: object, claims: dict[str, str], param: str
) -> None:
    """The operator's backend learns which of its claims to mend."""
    error = await refusal(act_for(world, named, **claims))

    assert (Category.INVALID_REQUEST, param) == (error.category, error.param)


# --- addresses -------------------------------------------------------------------------------------

USER_ROUTE = find_route("/v1/chat/completions")
PUBLIC_ROUTE = find_route("/v1/health")
OPERATORS_ROUTE = find_route("/key/generate")
PAGE_ROUTE = find_route("/scalix/")
"""It asks for a session of its own."""


@pytest.mark.parametrize(
    ("route", "exists", "expected"),
    [
        (USER_ROUTE, True, None),
        (PUBLIC_ROUTE, True, None),
        (PAGE_ROUTE, True, None),
        (OPERATORS_ROUTE, True, Category.PERMISSION_DENIED),
        (None, True, Category.PERMISSION_DENIED),
        (None, False, Category.NOT_FOUND),
    ],
)
def test_a_user_reaches_what_is_open_to_users(
    route: Route | None, exists: bool, expected: ErrorCategory | None
) -> None:
    """Everything else is the operator's, and said to be, or does not exist."""
    gateway = gateway_on(OneAccount())
    category = None
    try:
        gateway.check_access(user(), route, exists=lambda: exists)
    except GatewayError as error:
        category = error.category

    assert expected == category


@pytest.mark.parametrize("route", [USER_ROUTE, PUBLIC_ROUTE, PAGE_ROUTE, OPERATORS_ROUTE, None])
def test_the_operator_reaches_everything(route: Route | None) -> None:
    """LiteLLM itself says what does not exist."""
    gateway_on(OneAccount()).check_access(OPERATOR, route, exists=lambda: False)


def test_the_tests_know_all_kinds_of_access() -> None:
    """A new kind needs a row above."""
    assert {"public", "user", "page", "operator"} == set(Access)


# --- models ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("caller", "name"),
    [
        (user("free"), "free-flash"),
        (user("pro"), "free-flash"),
        (user("pro"), "scalix-engine"),
        (user("pro"), "anthropic/claude-x"),
        (user("premium"), "gpt-4"),
        (user("premium"), "local/llama"),
        (user("premium", ("gpt-4", "anthropic/claude-*")), "gpt-4"),
        (user("premium", ("gpt-4", "anthropic/claude-*")), "anthropic/claude-x"),
        (OPERATOR, "gpt-4"),
        (OPERATOR, "some-deployment-id"),
        (OPERATOR, "openai/gpt-4"),
    ],
)
def test_a_model_of_the_tier_may_be_asked(caller: Caller, name: str) -> None:
    """By its public name; the operator by any name LiteLLM knows."""
    assert refused_model(gateway_on(OneAccount()), caller, name) is None


@pytest.mark.parametrize("caller", [user("free"), user("premium"), user("premium", ("*",))])
@pytest.mark.parametrize(
    "name",
    [
        "nothing",
        "openai/gpt-4",
        "openai/free-flash",
        "0123456789abcdef0123456789abcdef",
        "free-flash,gpt-4",
        "gpt-4,free-flash",
        "free-flash,free-flash",
        "*",
        "free-*",
        "anthropic/*",
        "FREE-FLASH",
        "Free-Flash",
        " free-flash",
        "free-flash ",
        "free-flash\n",
        "free-flash\u200b",
        "frее-flash",  # two letters are Cyrillic
        "free‑flash",
        "anthropic/../gpt-4",
        "anthropic/",
    ],
)
def test_only_the_exact_public_name_is_a_model(caller: Caller, name: str) -> None:
    """What LiteLLM would route as well, deployment ids or lists, leads nowhere here."""
    error = refused_model(gateway_on(OneAccount()), caller, name)

    assert error is not None
    assert (404, Category.MODEL_NOT_FOUND, "model") == (error.status, error.category, error.param)
    assert "GET /v1/models" in error.message


@pytest.mark.parametrize(
    ("tier", "name", "plan", "url"),
    [
        ("free", "scalix-engine", "Pro", "https://scalix.world/pro"),
        ("free", "anthropic/claude-x", "Pro", "https://scalix.world/pro"),
        ("free", "gpt-4", "Premium", "https://scalix.world/premium"),
        ("pro", "gpt-4", "Premium", "https://scalix.world/premium"),
    ],
)
def test_a_model_of_another_tier_says_which_and_where_to_get_it(
    tier: str, name: str, plan: str, url: str
) -> None:
    """The message holds a Markdown link and the app gets an action with the same address."""
    error = refused_model(gateway_on(OneAccount()), user(tier), name)
    expected = (
        f"This model is part of the {plan} plan; you are on {tier.capitalize()}. [Upgrade to {plan}]({url})"
        " to use it. GET /v1/models lists those you may use."
    )

    assert error is not None
    assert (403, Category.MODEL_NOT_IN_TIER, "model") == (error.status, error.category, error.param)
    assert (expected, url) == (error.message, error.upgrade_url)


def test_there_is_no_upgrade_downwards() -> None:
    """Where tiers do not hold each other, a model of a lower one is no reason to sell a higher."""
    tiers = TierTable(
        (
            Tier("mini", ("a",), upgrade_to="maxi", upgrade_url="https://example.com/maxi"),
            Tier("maxi", ("b",), upgrade_to="ultra", upgrade_url="https://example.com/ultra"),
            Tier("ultra", ("c",)),
        )
    )
    gateway = gateway_on(OneAccount(), Catalogue((model("a"), model("d"))), tiers)
    lower, nowhere = (refused_model(gateway, user("maxi"), name) for name in ("a", "d"))

    assert lower is not None and nowhere is not None
    assert (None, None) == (lower.upgrade_url, nowhere.upgrade_url)
    assert lower.message.startswith("This model is part of the Mini plan; you are on Maxi. GET ")
    assert nowhere.message.startswith("This model is part of no plan; you are on Maxi. GET ")


def test_a_narrowed_key_is_told_that_it_is_the_key() -> None:
    """An upgrade would not help, and none is offered."""
    error = refused_model(gateway_on(OneAccount()), user("premium", ("gpt-4",)), "free-flash")

    assert error is not None
    assert (Category.MODEL_NOT_IN_TIER, None) == (error.category, error.upgrade_url)
    assert error.message.startswith("This key is limited to certain models")


@pytest.mark.parametrize(
    ("caller", "name"), [(user("free"), "free-unready"), (OPERATOR, "gemini/gemini-2.5-pro")]
)
def test_a_model_without_credentials_is_unavailable(caller: Caller, name: str) -> None:
    """The caller may have it, the gateway cannot serve it: choose another."""
    error = refused_model(gateway_on(OneAccount()), caller, name)

    assert error is not None
    assert (503, Category.MODEL_UNAVAILABLE) == (error.status, error.category)


def test_whether_a_model_is_ready_is_told_to_those_alone_who_may_have_it() -> None:
    """First the tier, then the state."""
    error = refused_model(gateway_on(OneAccount()), user("free"), "gemini/x")

    assert error is not None
    assert Category.MODEL_NOT_IN_TIER == error.category


def test_a_body_is_screened_and_its_model_checked() -> None:
    """Both decisions of a call in one: here what goes on of a user's body."""
    gateway = gateway_on(OneAccount())
    body = {"model": "free-flash", "messages": HELLO, "user": "eve", "colour": "red"}
    screened = gateway.admit_body(user(), Endpoint.CHAT, body)

    assert {"model": "free-flash", "messages": HELLO} == screened.body
    with pytest.raises(GatewayError, match="part of the Premium plan"):
        gateway.admit_body(user(), Endpoint.CHAT, {**body, "model": "gpt-4"})
    with pytest.raises(GatewayError, match="api_base is not open"):
        gateway.admit_body(user(), Endpoint.CHAT, {**body, "api_base": "http://e.example"})
    assert "api_base" in gateway.admit_body(OPERATOR, Endpoint.CHAT, {**body, "api_base": "x"}).body


@pytest.mark.parametrize(
    ("caller", "name", "expected"),
    [
        (user("free"), "free-flash", ("free-pro",)),
        (user("pro"), "gpt-4.1", ("free-flash", "free-pro")),
        (user("pro", ("gpt-4.1", "free-pro")), "gpt-4.1", ("free-pro",)),
        (user("premium"), "gpt-4", ("claude-3-opus", "free-flash")),
        (user("premium", ("gpt-4",)), "gpt-4", ()),
        (user("free"), "gpt-4", ("free-flash",)),
        (user("premium"), "anthropic/claude-x", ()),
        (OPERATOR, "gpt-4", ("claude-3-opus", "free-flash")),
    ],
)
def test_a_call_falls_back_to_what_its_caller_may_have(
    caller: Caller, name: str, expected: tuple[str, ...]
) -> None:
    """In the chain's order, without models out of reach or without credentials."""
    assert expected == gateway_on(OneAccount()).usable_chain(caller, name)


@pytest.mark.parametrize(
    ("caller", "expected"),
    [
        (user("free"), ("free-flash", "free-pro")),
        (user("pro"), ("free-flash", "free-pro", "scalix-engine", "gpt-4.1", "anthropic/*")),
        (
            user("premium", ("anthropic/claude-x", "local/a-*", "gemini/x")),
            ("anthropic/claude-x", "local/a-*"),
        ),
        (user("premium", ("free-*",)), ("free-flash", "free-pro")),
        (user("free", ("gpt-4",)), ()),
        (
            OPERATOR,
            (
                "free-flash",
                "free-pro",
                "scalix-engine",
                "gpt-4.1",
                "gpt-4",
                "claude-3-opus",
                "anthropic/*",
                "local/*",
            ),
        ),
    ],
)
def test_the_list_holds_what_the_caller_may_use_now(caller: Caller, expected: tuple[str, ...]) -> None:
    """In the order of the configuration; a key for one model of a provider lists that one."""
    assert expected == gateway_on(OneAccount()).listed_models(caller)


NAMES = ("a", "b", "x/1", "x/2", "y/1")
PATTERNS = (*NAMES, "*", "x/*", "y/*", "a*")
CATALOGUES = st.lists(
    st.tuples(st.sampled_from((*NAMES, "x/*", "y/*")), st.booleans()),
    min_size=1,
    max_size=6,
    unique_by=lambda m: m[0],
).map(
    lambda models: Catalogue(
        tuple(Model(n, (Deployment(n, "openai/m", "", None if ready else "KEY"),)) for n, ready in models)
    )
)
NARROWED = st.none() | st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=3).map(tuple)


@given(CATALOGUES, st.lists(st.sampled_from(PATTERNS), max_size=3).map(tuple), NARROWED)
def test_the_list_is_exactly_what_may_be_asked(
    catalogue: Catalogue, tier_models: tuple[str, ...], key_models: tuple[str, ...] | None
) -> None:
    """Every name listed works, and every name that works is listed or matches a pattern that is."""
    gateway = gateway_on(OneAccount(), catalogue, TierTable((Tier("t", tier_models),)))
    caller = user("t", key_models)
    listed = gateway.listed_models(caller)
    works = {name for name in NAMES if refused_model(gateway, caller, name) is None}
    is_exact = {model.name for model in catalogue.models} & set(NAMES)

    assert {name for name in listed if "*" not in name} <= works
    assert {name for name in works if not matches_any(name, listed)} == set()
    assert {name for name in NAMES if matches_any(name, listed) and name not in is_exact} <= works


@given(
    CATALOGUES,
    st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=4).map(tuple)),
    st.lists(st.sampled_from(PATTERNS), max_size=3).map(tuple),
    NARROWED,
    st.sampled_from(NAMES),
)
def test_a_fallback_never_leaves_the_tier_or_the_key(
    catalogue: Catalogue,
    chains: dict[str, tuple[str, ...]],
    tier_models: tuple[str, ...],
    key_models: tuple[str, ...] | None,
    name: str,
) -> None:
    """Whatever is configured, what is tried in place of a model could have been asked for itself."""
    catalogue = Catalogue(catalogue.models, chains)
    gateway = gateway_on(OneAccount(), catalogue, TierTable((Tier("t", tier_models),)))
    caller = user("t", key_models)

    assert [] == [
        other for other in gateway.usable_chain(caller, name) if refused_model(gateway, caller, other)
    ]


# --- auto mode ------------------------------------------------------------------------------------

AUTO = AutoModels(tuple(map(Candidate, ("free-flash", "gpt-4.1", "gpt-4"))))


@pytest.fixture
def auto(world: World) -> Gateway:
    world.gateway._auto = AUTO
    return world.gateway


@pytest.mark.parametrize(
    ("tier", "models", "listed"),
    [
        ("free", None, {"auto", "free-auto"}),
        ("pro", None, {"scalix/auto", "auto", "free-auto"}),
        ("pro", ("gpt-4.1",), {"scalix/auto", "auto"}),
        ("pro", ("anthropic/*",), set()),
        ("free", ("auto",), {"auto"}),
    ],
)
def test_the_auto_modes_a_caller_may_use_are_listed(
    auto: Gateway, tier: str, models: Any, listed: set
) -> None:
    """And no others are open to it."""
    caller = user(tier, models)

    assert listed == {name for name in auto.listed_models(caller) if is_auto(name)}
    assert listed == {name for name in AUTO_NAMES if refused_model(auto, caller, name) is None}


def test_a_free_user_is_shown_the_way_to_scalix_auto(auto: Gateway) -> None:
    """It is part of the Pro plan, as the patterns of the plans say."""
    error = refused_model(auto, user("free"), "scalix/auto")

    assert error is not None and Category.MODEL_NOT_IN_TIER is error.category
    assert "Pro" in error.message


def test_without_candidates_auto_mode_says_so(world: World) -> None:
    """A gateway none of whose models can be chosen."""
    error = refused_model(world.gateway, user("pro"), "scalix/auto")

    assert error is not None and Category.MODEL_UNAVAILABLE is error.category


def test_auto_mode_makes_no_embeddings(auto: Gateway) -> None:
    """It chooses among chat models."""
    with pytest.raises(GatewayError, match="Name an embedding model"):
        auto.admit_body(user("pro"), Endpoint.EMBEDDINGS, {"model": "auto", "input": "x"})


# --- what is noticed ------------------------------------------------------------------------------


async def test_where_a_key_comes_from_is_noticed(world: World) -> None:
    """The operator's too; a key that is none is nobody's."""
    secret = world.key("ada")
    await world.gateway.identify(Claims(credential=secret, forwarded_for="203.0.113.7"), "10.0.0.1")
    await world.gateway.identify(Claims(credential=MASTER_KEY), "127.0.0.1")
    await refusal(world.gateway.identify(Claims(credential=UNKNOWN_KEY), "10.0.0.1"))

    assert [("ada", "10.0.0.1", "203.0.113.7"), ("operator", "127.0.0.1", None)] == world.noticed.uses


async def test_refusals_by_policy_are_noticed(world: World) -> None:
    """A revoked, an expired, a suspended account's key; a model, a field and an address that are not open."""
    revoked, expired = world.key("bob"), world.key("cleo", expires_at=NOON + timedelta(hours=1))
    suspended = world.key("dora")
    world.accounts.revoke_key(world.key_id(revoked))
    world.accounts.suspend("dora")
    world.directory.forget_all()
    world.clock.advance(hours=1)
    for secret in (revoked, expired, suspended):
        await refusal(world.gateway.identify(Claims(credential=secret)))
    for body in (
        {"model": "gpt-4"},
        {"model": "free-flash", "api_base": "x"},
        {"model": "free-flash", "n": "x"},
    ):
        with pytest.raises(GatewayError):
            world.gateway.admit_body(user(), Endpoint.CHAT, {"messages": HELLO, **body})
    with pytest.raises(GatewayError):
        world.gateway.check_access(user(), None, exists=lambda: True)

    assert [
        ("bob", "KEY_REVOKED"),
        ("cleo", "KEY_EXPIRED"),
        ("dora", "ACCOUNT_SUSPENDED"),
        ("ada", "MODEL_NOT_IN_TIER"),
        ("ada", "FORBIDDEN_FIELD"),
        ("ada", "PERMISSION_DENIED"),
    ] == world.noticed.refusals
