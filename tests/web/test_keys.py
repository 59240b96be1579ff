"""POST /key/generate: keys for the operator's users."""

import asyncio
import re
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.web.conftest import MAX_BODY_BYTES, Site
from tests.world import MASTER_KEY, NOON

CHAT = "/v1/chat/completions"


async def generate(site: Site, body: Any = None, **more: Any) -> httpx.Response:
    sent = {"json": body} if body is not None else {}
    return await site.ask("POST", "/key/generate", key=MASTER_KEY, **sent, **more)


async def generated(site: Site, **body: Any) -> dict[str, Any]:
    answer = await generate(site, body)
    assert 200 == answer.status_code, answer.text
    return dict(answer.json())


async def refused(site: Site, body: Any) -> tuple[int, str | None, str]:
    """Status, field and message; and nothing was made."""
    before = site.world.accounts.change_no()
    answer = await generate(site, body)
    assert before == site.world.accounts.change_no()
    error = answer.json()["error"]
    return answer.status_code, error["param"], error["message"]


async def test_a_key_with_all_that_can_be_said_of_it(site: Site) -> None:
    """Answered in LiteLLM's fields, and the tier."""
    made = await generated(
        site,
        user_id="ada",
        tier="pro",
        models=["gpt-4.1", "anthropic/*", "free-flash"],
        max_budget=12.5,
        budget_duration="7d",
        key_alias="laptop",
    )
    key = made.pop("key")
    stored = site.world.accounts.list_keys("ada")[0]
    account = site.world.accounts.find_account("ada")

    assert re.fullmatch(r"scalix_[A-Za-z0-9_-]{43}", key)
    assert {
        "key_name": f"scalix_…{key[-4:]}",
        "key_alias": "laptop",
        "token_id": stored.id,
        "user_id": "ada",
        "tier": "pro",
        "models": ["gpt-4.1", "anthropic/*", "free-flash"],
        "max_budget": 12.5,
        "budget_duration": "7d",
        "duration": None,
        "expires": None,
    } == made
    assert account is not None
    budget = (account.max_budget_nano_usd, account.budget_window_s)
    assert ("pro", (12_500_000_000, 604_800)) == (account.tier, budget)
    assert ("gpt-4.1", "anthropic/*", "free-flash") == stored.models


@pytest.mark.parametrize("more", [{"json": {}}, {"content": b""}, {"content": b"  \n"}])
async def test_without_anything_it_is_a_free_key_of_a_new_account(site: Site, more: dict[str, Any]) -> None:
    """An empty body is as good as an empty object."""
    made = (await generate(site, **more)).json()

    assert re.fullmatch(r"user_[0-9a-f]{32}", made["user_id"])
    assert ("free", [], None) == (made["tier"], made["models"], made["max_budget"])


async def test_a_new_key_works_at_once(site: Site) -> None:
    """On this worker without waiting for its poll, also for an account that was known."""
    old = (await generated(site, user_id="ada"))["key"]
    assert 200 == (await site.ask("GET", "/v1/models", key=old)).status_code
    new = (await generated(site, user_id="ada", tier="pro"))["key"]
    tiers = [(await site.ask("GET", "/v1/models", key=key)).headers["x-scalix-tier"] for key in (old, new)]

    assert ["pro", "pro"] == tiers


async def test_the_key_is_kept_by_no_cache(site: Site) -> None:
    """It is shown this once."""
    assert "no-store" == (await generate(site, {})).headers["cache-control"]


async def test_a_key_may_end(site: Site) -> None:
    """After the duration, counted from now: noon of 31 January and 30 days."""
    made = await generated(site, duration="30d")
    stored = site.world.accounts.list_keys(made["user_id"])[0]

    assert ("30d", "2030-03-02T12:00:00+00:00") == (made["duration"], made["expires"])
    assert datetime(2030, 3, 2, 12, tzinfo=UTC) == stored.expires_at


# --- tiers and models -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        ([], "free"),
        (None, "free"),
        (["free-flash"], "free"),
        (["free-*"], "free"),
        (["free-flash", "gpt-4.1"], "pro"),
        (["anthropic/claude-x"], "pro"),
        (["anthropic/*"], "pro"),
        (["gpt-4"], "premium"),
        (["gpt-4", "free-flash"], "premium"),
        (["*"], "premium"),
    ],
)
async def test_without_a_tier_it_is_the_lowest_that_has_the_models(
    site: Site, models: list[str] | None, expected: str
) -> None:
    """Nobody gets more than was asked for."""
    assert expected == (await generated(site, models=models))["tier"]


async def test_an_account_keeps_its_tier(site: Site) -> None:
    """A second key without a tier changes nothing about the account."""
    await generated(site, user_id="ada", tier="premium", max_budget=5)
    made = await generated(site, user_id="ada", models=["free-flash"])

    assert ("premium", 5.0) == (made["tier"], made["max_budget"])


async def test_a_tier_named_changes_the_account(site: Site) -> None:
    """For all its keys."""
    await generated(site, user_id="ada", tier="free")

    assert "pro" == (await generated(site, user_id="ada", tier="pro"))["tier"]


async def test_the_tier_told_is_the_one_that_holds(site: Site) -> None:
    """An account whose pro time is over is free, and a key for pro models is refused."""
    site.world.key("ada", "pro", tier_until=NOON.replace(hour=13))
    before = (await generated(site, user_id="ada"))["tier"]
    site.world.clock.advance(hours=1)
    after = (await generated(site, user_id="ada"))["tier"]
    status, param, _ = await refused(site, {"user_id": "ada", "models": ["gpt-4.1"]})

    assert ("pro", "free", 400, "models") == (before, after, status, param)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"tier": "free", "models": ["gpt-4.1"]}, "tier 'free' does not have gpt-4.1"),
        ({"tier": "free", "models": ["free-flash", "gpt-4", "gpt-4.1"]}, "does not have gpt-4, gpt-4.1"),
        ({"tier": "free", "models": ["*"]}, "tier 'free' does not have *"),
        ({"tier": "pro", "models": ["gpt-*"]}, "tier 'pro' does not have gpt-*"),
        ({"user_id": "on_free", "models": ["gpt-4.1"]}, "tier 'free' does not have gpt-4.1"),
        ({"models": ["none"]}, "'none', which this gateway does not have"),
        ({"models": ["free-flash,gpt-4"]}, "does not have"),
        ({"models": ["openai/gpt-4"]}, "does not have"),
        ({"models": ["nothing-*"]}, "does not have"),
        ({"models": [""]}, "must be a list of at most 100 model names"),
        ({"models": [1]}, "must be a list of at most 100 model names"),
        ({"models": [["free-flash"]]}, "must be a list of at most 100 model names"),
        ({"models": "free-flash"}, "must be a list of at most 100 model names"),
        ({"models": {"free-flash": 1}}, "must be a list of at most 100 model names"),
        ({"models": ["free-flash"] * 101}, "must be a list of at most 100 model names"),
    ],
)
async def test_models_that_cannot_be_are_refused(site: Site, body: dict[str, Any], says: str) -> None:
    """A key that would not work is not made; the message says which model and what to do."""
    site.world.accounts.create_account("on_free", "free")
    status, param, message = await refused(site, body)

    assert (400, "models") == (status, param)
    assert says in message


async def test_models_named_twice_count_once(site: Site) -> None:
    """In the order they were named first."""
    made = await generated(site, models=["free-pro", "free-flash", "free-pro"])

    assert ["free-pro", "free-flash"] == made["models"]


# --- everything else that can be wrong -------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "param"),
    [
        *(({"user_id": value}, "user_id") for value in ("", 1, [], {}, True)),
        *(({"tier": value}, "tier") for value in ("", "gold", "Free", 1, [], {}, True)),
        *(({"key_alias": value}, "key_alias") for value in ("", 1, [])),
        *(({"duration": value}, "duration") for value in ("", "x", "0s", "-1d", "30", "1y", "9999d", 30, [])),
        *(
            ({"max_budget": value}, "max_budget")
            for value in (
                -1,
                -0.01,
                9_000_001,
                1e300,
                "x",
                "",
                "NaN",
                "sNaN",
                "Infinity",
                "1e400",
                True,
                [],
                {},
            )
        ),
    ],
)
async def test_a_wrong_value_is_refused_by_its_name(site: Site, body: dict[str, Any], param: str) -> None:
    """Nothing is made of half a request."""
    status, named, message = await refused(site, body)

    assert (400, param) == (status, named)
    assert message.startswith(f"{param} must be ") or message.startswith(f"{param}: ")


@pytest.mark.parametrize(
    "body",
    [
        {"user_id": "operator"},
        {"user_id": "a b"},
        {"user_id": "a\u0000b"},
        {"user_id": "x" * 129},
        {"user_id": "scalix_" + "k" * 43},
        {"key_alias": "x" * 129},
        {"key_alias": "a\nb"},
    ],
)
async def test_what_can_be_no_account_or_name_is_refused(site: Site, body: dict[str, str]) -> None:
    """By the same rules as on the command line; what may be a secret is not repeated."""
    status, _, message = await refused(site, body)

    assert 400 == status
    assert "k" * 43 not in message


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b"null", 400),
        (b'"x"', 400),
        (b"\xff", 400),
        (b" " * (MAX_BODY_BYTES + 1), 413),
    ],
)
async def test_a_body_is_bounded_and_an_object(site: Site, content: bytes, expected: int) -> None:
    """As on every route."""
    assert expected == (await generate(site, content=content)).status_code


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        (0, 0),
        (0.1, 100_000_000),
        ("0.1", 100_000_000),
        ("12.000000001", 12_000_000_001),
        (9_000_000, 9 * 10**15),
    ],
)
async def test_money_is_exact(site: Site, sent: float | str, stored: int) -> None:
    """To a billionth of a dollar, and 0 is a budget, too."""
    made = await generated(site, user_id="ada", max_budget=sent)
    account = site.world.accounts.find_account("ada")

    assert account is not None
    assert (stored, float(sent)) == (account.max_budget_nano_usd, made["max_budget"])


async def test_users_make_no_keys(site: Site, key: str) -> None:
    """Not even for themselves."""
    answer = await site.ask("POST", "/key/generate", key=key, json={"tier": "premium"})

    assert (403, "PERMISSION_DENIED") == (answer.status_code, answer.json()["error"]["code"])
    assert 1 == len(site.world.accounts.list_accounts())


async def test_without_a_database_no_key_is_made(site: Site) -> None:
    """The operator is told so, and when to come back."""
    site.world.break_database()
    answer = await generate(site, {"user_id": "ada"})

    assert (503, "5") == (answer.status_code, answer.headers["retry-after"])
    assert answer.json()["error"]["message"].startswith("No key was made")
    assert "scalix.db" not in answer.text


async def test_many_keys_at_once_are_one_account(site: Site) -> None:
    """Twenty requests for an account that does not exist make it once, and twenty keys."""
    keys = await asyncio.gather(*(generated(site, user_id="ada", tier="pro") for _ in range(20)))

    assert 20 == len({made["key"] for made in keys}) == len(site.world.accounts.list_keys("ada"))
    assert ["ada"] == [account.id for account in site.world.accounts.list_accounts()]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = st.sampled_from(["user_id", "tier", "models", "duration", "max_budget", "key_alias", "team_id"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.dictionaries(FIELDS, JSON, max_size=4))
async def test_any_request_makes_a_key_or_is_refused(site: Site, body: dict[str, Any]) -> None:
    """Whatever the operator sends is understood or told to be wrong; nothing breaks."""
    answer = await generate(site, body)

    assert answer.status_code in (200, 400)
    assert ("key" in answer.json()) is (200 == answer.status_code)
