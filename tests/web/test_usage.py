"""What was used, as the app and the operator see it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from scalix_callbacks.core.caller import OPERATOR, Caller, Role
from scalix_callbacks.core.errors import GatewayError
from scalix_callbacks.core.tiers import DEFAULT_TIERS
from scalix_callbacks.ledger.usage_sums import UsageSums
from scalix_callbacks.web.usage import usage_page, user_stats, user_usage
from tests.web.used import break_database, get, ledger

ADA = Caller(id="ada", tier="pro", role=Role.USER)
BOB = Caller(id="bob", tier="free", role=Role.USER)


def now() -> datetime:
    return datetime(2030, 2, 1, 18, 0, tzinfo=UTC)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with ledger(tmp_path) as engine:
        yield engine


async def stats(engine: Engine, caller: Caller, query: str = "") -> Any:
    return (await get(user_stats(UsageSums(engine), DEFAULT_TIERS, now), query, caller)).json()


async def usage(engine: Engine, caller: Caller, query: str = "") -> Any:
    return (await get(user_usage(UsageSums(engine), now), query, caller)).json()


async def admin(engine: Engine, query: str = "") -> Any:
    return (await get(usage_page(UsageSums(engine), now), query)).json()


async def test_a_pro_user_sees_the_full_analytics(engine: Engine) -> None:
    """Of the last 30 days, as the app shows them, with the numbers beside them."""
    assert {
        "user_id": "ada",
        "tier": "pro",
        "from": "2030-01-03",
        "to": "2030-02-01",
        "analytics": {
            "requests": 3,
            "calls": 4,
            "tokens": 300,
            "errors": 1,
            "cost_usd": "13.500000",
            "cost_unknown_calls": 2,
            "cost_savings": "$12.50",
            "cost_savings_usd": "12.500000",
            "model_efficiency": "67%",
            "model_efficiency_ratio": 0.6667,
            "response_time_avg": "1.2s",
            "response_time_avg_ms": 1_200,
            "fallback_usage": 1,
            "errors_by_category": {"PROVIDER_ERROR": 1},
        },
    } == await stats(engine, ADA)


async def test_a_free_user_sees_the_basic_part(engine: Engine) -> None:
    """The rest is what the plan's full_analytics is."""
    told = await stats(engine, BOB)

    assert {
        "requests": 1,
        "calls": 1,
        "tokens": 100,
        "errors": 0,
        "cost_usd": "13.000000",
        "cost_unknown_calls": 0,
    } == told["analytics"]


async def test_analytics_are_of_the_days_that_are_named(engine: Engine) -> None:
    """Both of them included; a time stands for its day."""
    told = await stats(engine, ADA, "from=2030-01-31&to=2030-01-31T23:00:00Z")

    assert ("2030-01-31", "2030-01-31", 2) == (told["from"], told["to"], told["analytics"]["calls"])


async def test_the_operator_has_analytics_of_its_own_calls(engine: Engine) -> None:
    """All of them, though it has no plan."""
    told = await stats(engine, OPERATOR)

    assert ("operator", None, 0, "$0.00") == (
        told["user_id"],
        told["tier"],
        told["analytics"]["calls"],
        told["analytics"]["cost_savings"],
    )


async def test_a_user_sees_usage_by_day_and_model(engine: Engine) -> None:
    """Nobody else's, and not what the provider took."""
    told = await usage(engine, ADA, "from=2030-01-01")

    assert (4, 3, 300, "13.500000", 2) == tuple(
        told["total"][name]
        for name in ("calls", "requests", "total_tokens", "price_usd", "price_unknown_calls")
    )
    assert [("2030-01-31", 2, "13.500000"), ("2030-02-01", 2, None)] == [
        (row["day"], row["calls"], row["price_usd"]) for row in told["by_day"]
    ]
    assert [("flash", 2, "0.500000"), ("gpt-4.1", 2, "13.000000")] == [
        (row["model"], row["calls"], row["price_usd"]) for row in told["by_model"]
    ]
    assert "provider_cost" not in str(told)


async def test_the_operator_sees_usage_by_day(engine: Engine) -> None:
    """Of everybody, with what the providers took."""
    told = await admin(engine)

    assert (["day"], None, 5) == (told["by"], told["next"], told["total"]["calls"])
    assert [("2030-01-31", 2, "0.000000014"), ("2030-02-01", 3, "0.000000014")] == [
        (row["day"], row["calls"], row["provider_cost_usd"]) for row in told["usage"]
    ]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("by=user", [("ada", 4), ("bob", 1)]),
        ("by=tier", [("free", 1), ("pro", 4)]),
        ("by=model&user_id=ada", [("flash", 2), ("gpt-4.1", 2)]),
        ("by=model_requested&model=flash", [("flash", 1), ("gpt-4.1", 1)]),
        ("by=category", [(None, 4), ("PROVIDER_ERROR", 1)]),
        (
            "by=outcome,day,day&tier=pro&from=2030-02-01",
            [("error", "2030-02-01", 1), ("ok", "2030-02-01", 1)],
        ),
        ("user_id=nobody", []),
    ],
)
async def test_usage_is_told_apart_as_asked(engine: Engine, query: str, expected: list[Any]) -> None:
    """By any of its groups, and of one account, tier or model."""
    told = await admin(engine, query)

    assert expected == [(*(row[name] for name in told["by"]), row["calls"]) for row in told["usage"]]


async def test_usage_comes_in_pages(engine: Engine) -> None:
    """The next one begins where the last ended."""
    first = await admin(engine, "by=user&limit=1")
    second = await admin(engine, f"by=user&limit=1&cursor={first['next']}")

    assert (["ada"], ["bob"], None) == (
        [row["user"] for row in first["usage"]],
        [row["user"] for row in second["usage"]],
        second["next"],
    )


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("by=week", "by"),
        ("by=", "by"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("cursor=x", "cursor"),
        ("from=yesterday", "from"),
        ("to=2030-13-01", "to"),
        ("from=2030-02-02&to=2030-02-01", "from"),
        ("from=2029-01-31&to=2030-02-01", "from"),
        ("user_id=", "user_id"),
        ("tier=%00", "tier"),
    ],
)
async def test_what_cannot_be_asked_is_told(engine: Engine, query: str, param: str) -> None:
    """With the field it is about."""
    with pytest.raises(GatewayError) as refusal:
        await admin(engine, query)

    assert (400, param) == (refusal.value.status, refusal.value.param)


@pytest.mark.parametrize("query", ["from=0001-01-01&to=0001-01-05", "to=0001-01-05", "to=9999-12-31"])
async def test_the_ends_of_time_are_days_as_well(engine: Engine, query: str) -> None:
    """On which nothing was used."""
    assert 0 == (await usage(engine, ADA, query))["total"]["calls"]


@pytest.mark.parametrize("read", [stats, usage])
async def test_a_database_that_is_away_is_said_so(tmp_path: Path, engine: Engine, read: Any) -> None:
    """Unknown is not "nothing used"."""
    engine.dispose()
    break_database(tmp_path)
    with pytest.raises(GatewayError) as refusal:
        await read(engine, ADA)

    assert (503, 5.0) == (refusal.value.status, refusal.value.retry_after_s)
