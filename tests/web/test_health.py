"""What a worker says of itself."""

from dataclasses import replace
from typing import Any

import pytest

from scalix_callbacks.web.health import Health, State
from tests.web.conftest import Site
from tests.world import MASTER_KEY

WELL = Health(is_stopping=False, redis_ok=True, database_silent_s=1.25, ready_models=3, all_models=4)
OK, DEGRADED, DOWN = State.OK, State.DEGRADED, State.DOWN


@pytest.mark.parametrize(
    ("changes", "overall", "status"),
    [
        ({}, OK, 200),
        ({"redis_ok": None}, OK, 200),
        ({"database_silent_s": 60.0}, OK, 200),
        # somebody can still be served
        ({"redis_ok": False}, DEGRADED, 200),
        ({"database_silent_s": 60.1}, DEGRADED, 200),
        ({"redis_ok": False, "database_silent_s": 9_999.0}, DEGRADED, 200),
        ({"is_draining": False}, DEGRADED, 200),
        ({"waiting_ends": 1}, DEGRADED, 200),
        # nobody can
        ({"is_stopping": True}, DOWN, 503),
        ({"database_silent_s": None}, DOWN, 503),
        ({"ready_models": 0}, DOWN, 503),
        ({"ready_models": 0, "redis_ok": False}, DOWN, 503),
    ],
)
async def test_503_means_that_nobody_can_be_served(
    site: Site, changes: dict[str, Any], overall: State, status: int
) -> None:
    """A load balancer takes the worker out only then; the body says what is wrong either way."""
    site.health = replace(WELL, **changes)
    for path in ("/health", "/v1/health", "/health/readiness"):
        answer = await site.ask("GET", path)

        assert (status, site.health.to_json()) == (answer.status_code, answer.json())
        assert overall == answer.json()["status"]
        assert ("no-store", status == 503) == (
            answer.headers["cache-control"],
            "retry-after" in answer.headers,
        )


def test_all_that_is_known_is_said() -> None:
    """The state of each part, with the numbers behind it."""
    expected = {
        "status": "ok",
        "proxy": {"status": "ok"},
        "redis": {"status": "ok"},
        "database": {"status": "ok", "last_answer_s_ago": 1.2},
        "outbox": {"status": "ok", "pending_records": 0, "calls_waiting_for_redis": 0},
        "providers": {"status": "ok", "models_with_credentials": 3, "models": 4},
    }

    assert expected == WELL.to_json()


def test_what_is_wrong_is_said_part_by_part() -> None:
    """Stopping, no Redis configured, a database that never answered, no model ready."""
    wrong = Health(
        is_stopping=True, redis_ok=None, database_silent_s=None, ready_models=0, all_models=4
    ).to_json()
    degraded = replace(WELL, redis_ok=False, database_silent_s=61.0).to_json()

    assert ("down", "stopping", "not configured") == (
        wrong["status"],
        wrong["proxy"]["status"],
        wrong["redis"]["status"],
    )
    assert {"status": "down", "last_answer_s_ago": None} == wrong["database"]
    assert "down" == wrong["providers"]["status"]
    assert ("down", "degraded") == (degraded["redis"]["status"], degraded["database"]["status"])


async def test_a_worker_lives_whatever_it_depends_on(site: Site) -> None:
    """An orchestrator must not restart it for a database that is away."""
    site.health = replace(WELL, database_silent_s=None)
    for path in ("/health/liveness", "/health/liveliness"):
        answer = await site.ask("GET", path)

        assert (200, {"status": "alive"}) == (answer.status_code, answer.json())


async def test_health_asks_nobody(site: Site, key: str) -> None:
    """No provider, no LiteLLM, no database: not even for a user's key, good or bad."""
    site.world.break_database()
    answers = [await site.ask("GET", "/health", key=k) for k in (None, key, "scalix_" + "u" * 43, "x")]

    assert [200] * 4 == [answer.status_code for answer in answers]
    assert [] == site.inner.scopes


async def test_the_operators_health_is_litellms_own(site: Site) -> None:
    """It calls every model, and is therefore for the operator alone, at this one address."""
    answer = await site.ask("GET", "/health", key=MASTER_KEY)
    ours = await site.ask("GET", "/v1/health", key=MASTER_KEY)

    assert {"ok": True} == answer.json()
    assert "ok" == ours.json()["status"]
    assert ["/health"] == [scope["path"] for scope in site.inner.scopes]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
async def test_health_is_only_read(site: Site, method: str) -> None:
    """Anything else is told so, in the one form of errors."""
    answer = await site.ask(method, "/v1/health")

    assert (405, "GET, HEAD") == (answer.status_code, answer.headers["allow"])
    assert "METHOD_NOT_ALLOWED" == answer.json()["error"]["code"]
