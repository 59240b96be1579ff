"""The operator's API over accounts, keys and the audit log, and what a user may do with its own data."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from scalix_callbacks.erasing import Eraser
from scalix_callbacks.ledger.audit import AuditLog
from scalix_callbacks.ledger.erasures import Erasures
from scalix_callbacks.ledger.export import Export
from scalix_callbacks.ledger.retention import Retention
from scalix_callbacks.web.admin import AdminApi
from scalix_callbacks.web.privacy import by_method, consent, erase_self, own_export
from tests.web.conftest import Site, say_ok
from tests.world import MASTER_KEY, World

A = "/scalix/admin/accounts"


async def drain(_: float) -> None:
    """Nothing is on its way here."""


@pytest.fixture
async def office(world: World) -> AsyncIterator[Site]:
    """A site with the routes of accounts and privacy."""
    site = Site(world)
    export = Export(world.engine, now=world.clock)
    forget = world.directory.forget_all
    eraser = Eraser(
        Erasures(world.engine, now=world.clock),
        world.limiter,
        drain,
        Retention(world.engine, None, now=world.clock),
    )
    own: Any = site.edge._own
    own["/v1/user"] = by_method(say_ok, erase_self(eraser, forget))
    own["/v1/user/export"] = own_export(export)
    own["/v1/user/consent"] = consent(world.accounts, site.edge.read_body, forget)
    own["/scalix/admin/{path}"] = AdminApi(
        accounts=world.accounts,
        tiers=world.tiers,
        audit=AuditLog(world.engine),
        export=export,
        eraser=eraser,
        counters=world.limiter,
        read_body=site.edge.read_body,
        changed=forget,
        now=world.clock,
    )
    yield site
    eraser.close()
    await site.client.aclose()


async def ask(site: Site, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, Any]:
    sent = {} if body is None else {"json": body}
    answer = await site.ask(method, path, key=more.pop("key", MASTER_KEY), **sent, **more)
    return answer.status_code, answer.json()


async def test_an_account_from_its_first_day_to_its_last(office: Site) -> None:
    """Everything the command line does, in the same words."""
    made = await ask(office, "POST", A, {"user_id": "ada", "tier": "pro", "max_budget_usd": "12.5"})
    told = [
        await ask(office, "PUT", f"{A}/ada/tier", {"tier": "premium", "until": "30d"}),
        await ask(office, "PUT", f"{A}/ada/budget", {"max_budget_usd": None}),
        await ask(office, "POST", f"{A}/ada/suspend"),
        await ask(office, "POST", f"{A}/ada/resume"),
    ]
    limits = {"unit": "usd", "window_s": 86_400, "limit": "2.50"}
    shadow = {**limits, "limit": "1.00", "shadow": True}
    own = await ask(office, "PUT", f"{A}/ada/limits", {"limits": [limits, shadow]})
    shown = await ask(office, "GET", f"{A}/ada")
    reset = await ask(office, "POST", f"{A}/ada/limits/reset")
    back = await ask(office, "DELETE", f"{A}/ada/limits")
    agreed = await ask(office, "PUT", f"{A}/ada/consent", {"consent": True})
    gone = await ask(office, "DELETE", f"{A}/ada")
    listed = await ask(office, "GET", A)

    assert (200, "12.50") == (made[0], made[1]["max_budget_usd"])
    assert [200] * 4 == [status for status, _ in told]
    assert ("premium", "2030-03-02T12:00:00Z") == (told[0][1]["tier"], told[0][1]["tier_until"])
    assert [limits, shadow] == own[1]["overrides"] == shown[1]["limit_overrides"]
    assert (200, {"id": "ada", "counters_reset": 0}) == reset
    assert [] == back[1]["overrides"]
    assert {"user_id": "ada", "consent": True, "consented_at": "2030-01-31T12:00:00Z"} == agreed[1]
    assert (200, True) == (gone[0], gone[1]["is_complete"])
    assert (200, {"accounts": [], "next": None}) == listed


async def test_a_rotated_key_may_go_on_for_a_while(office: Site) -> None:
    """Until the overlap ends both work; then the old one is refused."""
    await ask(office, "POST", A, {"user_id": "ada"})
    _, old = await ask(office, "POST", f"{A}/ada/keys", {"name": "laptop"})
    _, new = await ask(office, "POST", f"/scalix/admin/keys/{old['id']}/rotate", {"overlap": "1h"})
    both = [(await office.ask("GET", "/v1/models", key=each["key"])).status_code for each in (old, new)]
    office.world.clock.advance(hours=1)
    later = [(await office.ask("GET", "/v1/models", key=each["key"])).status_code for each in (old, new)]
    _, expiring = await ask(office, "PUT", f"/scalix/admin/keys/{new['id']}/expiry", {"expires": "1d"})
    _, revoked = await ask(office, "POST", f"/scalix/admin/keys/{new['id']}/revoke")
    _, keys = await ask(office, "GET", f"{A}/ada/keys")

    assert ([200, 200], [401, 200]) == (both, later)
    assert "laptop" == new["name"]
    assert "2030-02-01T13:00:00Z" == expiring["expires_at"]
    assert "revoked" == revoked["state"]
    assert {"revoked", "expired"} == {key["state"] for key in keys["keys"]}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "word"),
    [
        ("GET", f"{A}/nobody", None, 404, "There is no account nobody"),
        ("DELETE", f"{A}/nobody", None, 404, "There is no account nobody"),
        ("GET", f"{A}/nobody/export", None, 404, "There is no account nobody"),
        ("POST", f"{A}/nobody/keys", {}, 404, "There is no account nobody"),
        ("POST", A, {"user_id": "ada"}, 409, "exists already"),
        ("POST", A, {"user": "ada"}, 400, "'user' is no field of this request. Known are user_id"),
        ("POST", A, {"tier": "gold"}, 400, "tier must be one of free, pro, premium"),
        ("POST", A, {"until": "yesterday"}, 400, "until must be an ISO 8601 time"),
        ("POST", A, {"max_budget_usd": "1e99"}, 400, "max_budget_usd must be an amount"),
        ("POST", A, {"max_budget_usd": True}, 400, "max_budget_usd must be an amount"),
        ("POST", A, [], 400, "must be a JSON object"),
        ("PUT", f"{A}/ada/tier", {}, 400, "tier must be named"),
        ("PUT", f"{A}/ada/budget", {}, 400, "max_budget_usd must be named"),
        ("PUT", f"{A}/ada/limits", {"limits": []}, 400, "limits must be a list of 1 to 20"),
        ("PUT", f"{A}/ada/limits", {"limits": [{"unit": "x"}]}, 400, "limits[0] must be an object"),
        ("PUT", f"{A}/ada/limits", {"limits": [{"unit": [], "window_s": 1, "limit": 1}]}, 400, "unit must"),
        ("PUT", f"{A}/ada/limits", {"limits": [{"unit": "usd", "window_s": 0, "limit": 1}]}, 400, "window"),
        ("PUT", f"{A}/ada/consent", {"consent": "yes"}, 400, "consent must be true or false"),
        ("POST", f"{A}/ada/keys", {"models": ["gpt-4"]}, 400, "does not have gpt-4"),
        ("POST", f"{A}/ada/keys", {"models": []}, 400, "models must be a list"),
        ("POST", f"{A}/ada/suspend", {"why": 1}, 400, "'why' is no field"),
        ("PATCH", f"{A}/ada", None, 405, ""),
        ("PUT", f"{A}/ada/keys", {}, 405, ""),
        ("GET", f"{A}/ada/nothing", None, 404, ""),
        ("GET", f"{A}/a%2Fb", None, 404, "There is no account a/b"),
        ("GET", f"{A}?limit=0", None, 400, "limit must be a whole number"),
        ("POST", "/scalix/admin/keys/key_0000000000000000/rotate", None, 404, "There is no key"),
        ("POST", "/scalix/admin/keys/x/rotate", {"overlap": "soon"}, 400, "overlap: A duration"),
        ("GET", "/scalix/admin/audit?before=x", None, 400, "before must be a whole number"),
        ("GET", "/scalix/admin/audit?user_id=%00", None, 400, "user_id must be 1 to 128 printable"),
        ("GET", f"{A}?after=%00", None, 400, "after must be 1 to 128 printable"),
        ("GET", f"{A}/%00/export", None, 400, "id must be 1 to 128 printable"),
        ("GET", "/scalix/admin/audit/nothing", None, 404, ""),
    ],
)
async def test_what_cannot_be_is_refused_with_a_sentence(
    office: Site, method: str, path: str, body: Any, status: int, word: str
) -> None:
    """In our form; and nothing is changed."""
    office.world.accounts.create_account("ada", "free")
    before = office.world.accounts.change_no()
    answer = await ask(office, method, path, body)

    assert status == answer[0], answer
    assert word in answer[1]["error"]["message"]
    assert before == office.world.accounts.change_no()


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", A, "GET, POST"),
        ("PUT", f"{A}/ada", "DELETE, GET"),
        ("POST", f"{A}/ada/export", "GET"),
        ("GET", f"{A}/ada/limits/reset", "POST"),
        ("POST", f"{A}/ada/limits", "DELETE, GET, PUT"),
        ("POST", "/scalix/admin/audit", "GET"),
        ("POST", "/scalix/admin/audit/verify", "GET"),
    ],
)
async def test_a_wrong_method_is_told_the_right_ones(
    office: Site, method: str, path: str, allowed: str
) -> None:
    """In the header that says so."""
    answer = await office.ask(method, path, key=MASTER_KEY, json={})

    assert (405, allowed) == (answer.status_code, answer.headers["allow"])


@pytest.mark.parametrize("path", [A, f"{A}/ada", "/scalix/admin/audit", "/scalix/admin/audit/verify"])
async def test_users_do_not_administer(office: Site, key: str, path: str) -> None:
    """Not even their own accounts."""
    assert 403 == (await ask(office, "GET", path, key=key))[0]


async def test_the_log_is_read_and_verified(office: Site, key: str) -> None:
    """By page, of one account or all."""
    status, told = await ask(office, "GET", "/scalix/admin/audit?user_id=ada&limit=1")
    verdict = await ask(office, "GET", "/scalix/admin/audit/verify")

    assert (200, "key.create", 2) == (status, told["entries"][0]["action"], told["next"])
    assert (200, True, 2) == (verdict[0], verdict[1]["ok"], verdict[1]["entries"])


async def test_a_user_sees_agrees_and_goes(office: Site, key: str) -> None:
    """With its own key; after that the key is one like any other unknown one."""
    agreed = await ask(office, "PUT", "/v1/user/consent", {"consent": True}, key=key)
    told = await ask(office, "GET", "/v1/user/export", key=key)
    gone = await ask(office, "DELETE", "/v1/user", key=key)
    again = await ask(office, "DELETE", "/v1/user", key=key)
    _, log = await ask(office, "GET", "/scalix/admin/audit")

    assert (200, True) == (agreed[0], agreed[1]["consent"])
    assert (200, "ada", True) == (told[0], told[1]["user_id"], told[1]["consent"])
    assert (200, "ada", True) == (gone[0], gone[1]["user_id"], gone[1]["erased"])
    assert (401, "INVALID_API_KEY") == (again[0], again[1]["error"]["code"])
    assert ["account.erase", "account.consent"] == [entry["action"] for entry in log["entries"][:2]]
    assert {"user"} == {entry["actor"] for entry in log["entries"][:2]}
    assert {gone[1]["pseudonym"]} == {entry["user_id"] for entry in log["entries"]}


async def test_the_operator_acts_for_a_user(office: Site, key: str) -> None:
    """Named in a header, as everywhere; without a name there is nobody to act for."""
    nobody = await ask(office, "DELETE", "/v1/user")
    told = await ask(office, "GET", "/v1/user/export", headers={"x-user-id": "ada"})
    unknown = await ask(office, "DELETE", "/v1/user", headers={"x-user-id": "nobody"})

    assert (400, "X-User-ID") == (nobody[0], nobody[1]["error"]["param"])
    assert (200, "ada") == (told[0], told[1]["user_id"])
    assert 404 == unknown[0]


async def test_without_the_database_it_is_said_so(office: Site) -> None:
    """503, to be tried again."""
    office.world.break_database()
    statuses = [(await ask(office, "GET", path))[0] for path in (A, f"{A}/ada/export", "/scalix/admin/audit")]

    assert [503] * 3 == statuses


async def test_a_budget_is_for_its_window(office: Site) -> None:
    """It stays while only the amount changes, and goes with the budget."""
    await ask(office, "POST", A, {"user_id": "ada", "max_budget_usd": 5, "budget_window": "7d"})
    told = [
        (await ask(office, "PUT", f"{A}/ada/budget", body))[1]["budget_window_s"]
        for body in (
            {"max_budget_usd": 6},
            {"max_budget_usd": 6, "budget_window": "1d"},
            {"max_budget_usd": None},
        )
    ]
    refused = await ask(office, "PUT", f"{A}/ada/budget", {"max_budget_usd": 1, "budget_window": "soon"})

    assert [604_800, 86_400, None] == told
    assert 400 == refused[0]
