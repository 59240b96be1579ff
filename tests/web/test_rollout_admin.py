"""The operator's API over rollouts, through the edge, on a real database."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from scalix_callbacks.core.rollout import Flag
from scalix_callbacks.core.rollout_evidence import Triggers
from scalix_callbacks.ledger.rollout_desk import RolloutDesk
from scalix_callbacks.ledger.rollouts import Rollouts
from scalix_callbacks.ledger.usage_records import UsageRecords
from scalix_callbacks.rollouts import Flags
from scalix_callbacks.web.rollout_admin import RolloutApi
from tests.ledger.test_migrations import RECORD
from tests.rollout_world import MemoryEvidence
from tests.web.conftest import Site
from tests.world import MASTER_KEY, World

R = "/scalix/admin/rollout"


@pytest.fixture
async def desk(world: World) -> AsyncIterator[Site]:
    """A site with the routes of rollouts; the flag began an hour ago, ada's account a moment before it."""
    world.key("ada", "free")
    world.key("paul", "pro")
    world.clock.advance(seconds=60)
    book = Rollouts(world.engine, [Flag("liteLLM"), Flag("other")], now=world.clock)
    book.begin()
    world.clock.advance(seconds=3600)
    site = Site(world)
    flags = Flags(
        book,
        MemoryEvidence(),
        book.names,
        Triggers(),
        lowest_tier="free",
        tell=lambda alert: None,
        rolled_back=lambda flag: None,
        now_s=lambda: world.clock().timestamp(),
    )
    await flags.poll()
    records = UsageRecords(world.engine)
    office = RolloutDesk(book, records, Triggers(), lowest_tier="free", now=world.clock)
    own: Any = site.edge._own
    own[f"{R}/{{path}}"] = RolloutApi(office, flags.told, site.edge.read_body, flags.poll)
    yield site
    flags.close()
    await site.client.aclose()


async def ask(site: Site, method: str, path: str, body: Any = None, key: str = MASTER_KEY) -> tuple[int, Any]:
    sent = {} if body is None else {"json": body}
    answer = await site.ask(method, R + path, key=key, **sent)
    return answer.status_code, answer.json()


async def test_a_flag_is_shown_and_set(desk: Site) -> None:
    """The list has what was set at once, in this worker."""
    status, told = await ask(desk, "GET", "/liteLLM")
    assert (200, "running", 10) == (status, told["state"], told["percent"])
    body = {"percent": 40, "daily_percent": 5, "groups": {"pro": {"share": 25, "delay_days": 0}}}
    status, told = await ask(desk, "PUT", "/liteLLM", body)
    _, listed = await ask(desk, "GET", "")

    assert (200, 40, 5, 10.0) == (
        status,
        told["percent"],
        told["daily_percent"],
        told["groups"]["pro"]["percent"],
    )
    assert [("liteLLM", 40), ("other", 10)] == [(row["flag"], row["percent"]) for row in listed["flags"]]
    assert 0 == listed["flags"][0]["recent"]["calls"]


async def test_a_flag_is_paused_killed_and_resumed(desk: Site) -> None:
    """Each says what became of it."""
    states = [
        (await ask(desk, "POST", f"/liteLLM/{step}"))[1]["state"]
        for step in ("pause", "resume", "kill", "resume")
    ]

    assert ["paused", "running", "killed", "running"] == states


async def test_a_user_is_migrated_validated_and_rolled_back(desk: Site) -> None:
    """With why, and how the calls fared since then."""
    await ask(desk, "PUT", "/liteLLM", {"percent": 0})
    before = (await ask(desk, "GET", "/liteLLM/users/ada"))[1]
    migrated = (await ask(desk, "POST", "/liteLLM/users/ada/migrate"))[1]
    desk.world.clock.advance(seconds=60)
    at = desk.world.clock().isoformat()
    rows = [{**RECORD, "call_id": f"c{i}", "at": at, "duration_ms": 900} for i in range(5)]
    failed = {**rows[0], "call_id": "e", "outcome": "error", "error_category": "PROVIDER_ERROR"}
    early = {**failed, "call_id": "f", "at": "2030-01-01T00:00:00Z"}
    UsageRecords(desk.world.engine).insert([(each, False) for each in (*rows, failed, early)])
    validated = (await ask(desk, "GET", "/liteLLM/users/ada"))[1]
    back = (await ask(desk, "POST", "/liteLLM/users/ada/rollback"))[1]
    released = (await ask(desk, "DELETE", "/liteLLM/users/ada"))[1]

    assert (False, "free", None, None) == (
        *(before["on"], before["group"]),
        *(before["decided"], before["calls"]["well"]),
    )
    assert (True, "The operator migrated this user.") == (migrated["on"], migrated["why"])
    assert {"calls": 6, "errors": 1, "error_percent": 16.67, "p95_s": 1.0, "well": False} == {
        name: value for name, value in validated["calls"].items() if name != "since"
    }
    assert (False, "rolled_back") == (back["on"], back["decided"])
    assert (False, None) == (released["on"], released["decided"])
    assert "pro" == (await ask(desk, "GET", "/liteLLM/users/paul"))[1]["group"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "told"),
    [
        ("GET", "/no", None, 404, "There is no flag 'no': name one of liteLLM, other."),
        ("POST", "/no/kill", None, 404, "There is no flag 'no'"),
        ("GET", "/liteLLM/users/nobody", None, 404, "There is no account nobody"),
        ("POST", "/liteLLM/users/nobody/migrate", None, 404, "There is no account nobody"),
        ("POST", "/liteLLM/users/a%00b/migrate", None, 400, "account"),
        ("PUT", "/liteLLM", {}, 400, "Name what is to be set: percent, daily_percent, groups."),
        ("PUT", "/liteLLM", {"percent": 101}, 400, "percent must be a whole number from 0 to 100."),
        ("PUT", "/liteLLM", {"percent": None}, 400, "percent must be a whole number from 0 to 100."),
        ("PUT", "/liteLLM", {"daily_percent": -1}, 400, "daily_percent must be a whole number"),
        ("PUT", "/liteLLM", {"share": 1}, 400, "'share' is no field of this request."),
        ("PUT", "/liteLLM", {"groups": []}, 400, "groups must be an object of new, free, active, pro."),
        ("PUT", "/liteLLM", {"groups": {"old": {}}}, 400, "'old' is no field of groups."),
        ("PUT", "/liteLLM", {"groups": {"pro": {"share": "x"}}}, 400, "groups.pro.share must be"),
        ("PUT", "/liteLLM", {"groups": {"pro": 5}}, 400, "groups.pro must be an object of share"),
        ("PUT", "/liteLLM", {"groups": {"pro": {"at_once": 1}}}, 400, "groups.pro.at_once must be true"),
        ("POST", "/liteLLM/kill", {"now": True}, 400, "'now' is no field of this request."),
        ("DELETE", "/liteLLM", None, 405, ""),
        ("POST", "", None, 405, ""),
        ("GET", "/liteLLM/kill", None, 405, ""),
        ("PUT", "/liteLLM/users/ada", None, 405, ""),
        ("POST", "/liteLLM/explode", None, 404, ""),
        ("GET", "/liteLLM/users/ada/calls/1", None, 404, ""),
    ],
)
async def test_what_cannot_be_is_said(
    desk: Site, method: str, path: str, body: Any, status: int, told: str
) -> None:
    """In one clear sentence, and never a 500."""
    found, answer = await ask(desk, method, path, body)

    assert status == found, answer
    assert told in answer["error"]["message"]


async def test_it_is_the_operators_alone(desk: Site) -> None:
    """A user's key opens nothing of it."""
    key = desk.world.key("ada", "free")

    assert [403, 403] == [
        (await ask(desk, method, path, key=key))[0]
        for method, path in (("GET", ""), ("POST", "/liteLLM/kill"))
    ]


async def test_a_database_that_is_away_is_said(desk: Site) -> None:
    """With 503."""
    desk.world.break_database()

    assert 503 == (await ask(desk, "POST", "/liteLLM/kill"))[0]
