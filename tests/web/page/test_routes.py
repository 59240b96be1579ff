"""The status page behind the edge: who gets in, what is served, what is told."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx
import pytest

from scalix_callbacks.core.catalogue import Catalogue
from scalix_callbacks.core.limits import Counter
from scalix_callbacks.core.model_health import ModelHealth
from scalix_callbacks.ledger.recent_calls import RecentCalls
from scalix_callbacks.ledger.usage_records import UsageRecords
from scalix_callbacks.ledger.usage_sums import UsageSums
from scalix_callbacks.store.errors import StoreLost
from scalix_callbacks.web.page import files
from scalix_callbacks.web.page.details import Details
from scalix_callbacks.web.page.overview import Overview, Sources
from scalix_callbacks.web.page.reading import Readers
from scalix_callbacks.web.page.routes import StatusPage
from scalix_callbacks.web.page.session import MAX_TRIES, SESSION_S, Sessions, Tries
from tests.web.conftest import Site
from tests.web.used import RECORDS
from tests.world import MASTER_KEY, NOON

PAGE = {"x-scalix-page": "1"}
STATIC = Path(files.__file__).parent / "static"


class Store:
    """The limiter's standings, or a Redis that is away."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.is_lost = False

    async def standings(self, account_id: str, counters: tuple[Counter, ...]) -> Any:
        if self.is_lost:
            raise StoreLost("x")
        now_s = self.site.world.clock().timestamp()
        return await self.site.world.limiter.standings(account_id, counters), now_s

    async def find(self, id: str) -> list[dict[str, Any]]:
        if self.is_lost:
            raise StoreLost("x")
        if id == "the-app's:attempt-1":
            return [{"request_id": each, "at": "2030", "steps": []} for each in ("r2", "refused", "r1")]
        return [{"request_id": id, "at": "2030", "steps": []}] if id in ("r1", "refused") else []

    async def pending(self) -> int:
        if self.is_lost:
            raise StoreLost("x")
        return 7

    async def reservations_held(self) -> int:
        return 2

    async def resting(self) -> dict[str, float]:
        return {"gpt-4": NOON.timestamp() + 60}


async def rollouts() -> dict[str, Any]:
    return {"flags": [{"flag": "darkMode", "state": "rolled_back"}], "triggers": {}}


async def no_metrics() -> bytes:
    return b"# TYPE scalix_workers gauge\nscalix_workers 1.0\n"


@pytest.fixture
async def store(site: Site) -> AsyncIterator[Store]:
    """With the page on the site, and five calls in its ledger."""
    world, store, readers = site.world, Store(site), Readers()
    records, sums = UsageRecords(world.engine), UsageSums(world.engine)
    records.insert([(each.to_json(), False) for each in RECORDS])
    sources = Sources(
        health=lambda: site.health,
        sums=sums,
        recent=RecentCalls(world.engine),
        waiting=store,
        resting=store.resting,
        model_health=lambda: {"gpt-4.1": ModelHealth(NOON.timestamp() - 5, failed=3, is_down=True)},
        exposition=no_metrics,
        catalogue=Catalogue(world.catalogue.models[:5]),
        tiers=world.tiers,
        rollouts=rollouts,
        workers=2,
        version="1.2.3",
        now=world.clock,
        elapsed=world.clock.monotonic,
        in_thread=readers.read,
    )
    page = StatusPage(
        callers=world.gateway,
        sessions=Sessions(MASTER_KEY, now_s=lambda: world.clock().timestamp(), nonce=lambda: "n1"),
        tries=Tries(world.clock.monotonic),
        overview=Overview(sources),
        details=Details(
            world.accounts,
            records,
            sums,
            store,
            world.tiers,
            now=world.clock,
            in_thread=readers.read,
            traces=store,
        ),
        read_body=site.edge.read_body,
        trusted=[ip_network("10.0.0.0/8")],
    )
    site.edge._own["/scalix/"] = page  # type: ignore[index]  # the site's own dict
    yield store


async def login(site: Site, key: str = MASTER_KEY, **headers: str) -> httpx.Response:
    return await site.ask("POST", "/scalix/login", headers={**PAGE, **headers}, json={"key": key})


def told(answer: httpx.Response) -> Any:
    assert (200, "no-store") == (answer.status_code, answer.headers["cache-control"]), answer.text
    return answer.json()


# --- who gets in -----------------------------------------------------------------------------


async def test_a_session_opens_the_figures(site: Site, store: Store) -> None:
    """Until it ends by itself, eight hours later."""
    assert {"session": None} == told(await site.ask("GET", "/scalix/page/session"))
    begun = told(await login(site))["session"]

    assert begun == told(await site.ask("GET", "/scalix/page/session"))["session"]
    assert "2030-01-31T20:00:00.000Z" == begun["ends_at"]
    assert "1.2.3" == told(await site.ask("GET", "/scalix/page/overview"))["version"]
    site.world.clock.advance(seconds=SESSION_S)
    assert 401 == (await site.ask("GET", "/scalix/page/overview")).status_code


@pytest.mark.parametrize("path", ["overview", "user?id=ada", "call?id=r0"])
async def test_figures_are_the_operators(site: Site, store: Store, key: str, path: str) -> None:
    """By the session or the key itself; not by a user's key, nor by none, nor by a forged cookie."""
    address = f"/scalix/page/{path}"
    forged = {"cookie": f"scalix_session=9999999999.n1.{'0' * 64}"}
    answers = [
        await site.ask("GET", address),
        await site.ask("GET", address, headers=forged),
        await site.ask("GET", address, key="scalix_" + "u" * 43),
        await site.ask("GET", address, key=key),
        await site.ask("GET", address, key=MASTER_KEY),
    ]

    assert [401, 401, 401, 403, 200] == [answer.status_code for answer in answers]
    assert not any('"ada"' in answer.text for answer in answers[:4])


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"key": "wrong"}, 401, "INVALID_API_KEY"),
        ({"key": ""}, 401, "INVALID_API_KEY"),
        ({"key": "\ud800".encode("utf-8", "surrogatepass").decode("latin-1")}, 401, "INVALID_API_KEY"),
        ({"key": 5}, 400, "INVALID_REQUEST"),
        ({"key": None}, 400, "INVALID_REQUEST"),
        ({}, 400, "INVALID_REQUEST"),
        ({"key": "x", "more": 1}, 400, "INVALID_REQUEST"),
        ({"key": "x" * 9_000}, 413, "REQUEST_TOO_LARGE"),
        ([], 400, "INVALID_REQUEST"),
    ],
)
async def test_only_the_operators_key_logs_in(
    site: Site, store: Store, body: Any, status: int, code: str
) -> None:
    """Whatever else is sent is told what is wrong with it, and gets no cookie."""
    answer = await site.ask("POST", "/scalix/login", headers=PAGE, json=body)

    assert (status, code) == (answer.status_code, answer.json()["error"]["code"])
    assert "set-cookie" not in answer.headers


async def test_a_users_key_does_not_log_in(site: Site, store: Store, key: str) -> None:
    """And is not repeated in the answer."""
    answer = await login(site, key)

    assert (401, False) == (answer.status_code, key in answer.text)


@pytest.mark.parametrize("path", ["/scalix/login", "/scalix/logout"])
async def test_no_other_site_can_log_in_or_out(site: Site, store: Store, path: str) -> None:
    """A form of another site has not our header; its scripts would have to ask us before they send one."""
    body = {"key": MASTER_KEY}
    answers = [
        await site.ask("POST", path, json=body),
        await site.ask("POST", path, headers={**PAGE, "sec-fetch-site": "cross-site"}, json=body),
        await site.ask("POST", path, headers={**PAGE, "sec-fetch-site": "same-site"}, json=body),
    ]
    preflight = await site.ask("OPTIONS", path, headers={"origin": "https://evil.example"})
    got = await site.ask("GET", path)

    assert [403] * 3 == [answer.status_code for answer in answers]
    assert [405, 405] == [preflight.status_code, got.status_code]
    assert not any(name.startswith("access-control") for name in preflight.headers)


async def test_logging_out_needs_the_sessions_token(site: Site, store: Store) -> None:
    """And takes the cookie away; without a session there is nothing to refuse."""
    csrf = told(await login(site, **{"sec-fetch-site": "same-origin"}))["session"]["csrf"]
    refused = await site.ask("POST", "/scalix/logout", headers={**PAGE, "x-scalix-csrf": "0" * 64})
    done = await site.ask("POST", "/scalix/logout", headers={**PAGE, "x-scalix-csrf": csrf})

    assert (403, 200) == (refused.status_code, done.status_code)
    assert "Max-Age=0" in done.headers["set-cookie"]
    assert 401 == (await site.ask("GET", "/scalix/page/overview")).status_code
    assert 200 == (await site.ask("POST", "/scalix/logout", headers=PAGE)).status_code


async def test_guessing_is_slow(site: Site, store: Store) -> None:
    """After so many wrong keys the right one waits as well, and is told for how long."""
    for _ in range(MAX_TRIES):
        assert 401 == (await login(site, "wrong")).status_code
    refused = await login(site)

    assert (429, "300") == (refused.status_code, refused.headers["retry-after"])
    site.world.clock.advance(seconds=300)
    assert 200 == (await login(site)).status_code


async def behind(site: Site, peer: str, key: str = MASTER_KEY, **headers: str) -> httpx.Response:
    """A login whose connection is held by `peer`."""
    transport = httpx.ASGITransport(site.edge, client=(peer, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        return await client.post("/scalix/login", headers={**PAGE, **headers}, json={"key": key})


async def test_a_stranger_locks_out_nobody_else(site: Site, store: Store) -> None:
    """Behind a proxy that is trusted each client has tries of its own; of others nobody's word counts."""
    for _ in range(MAX_TRIES):
        assert (
            401 == (await behind(site, "10.0.0.2", "wrong", **{"x-forwarded-for": "192.0.2.9"})).status_code
        )
        assert (
            401 == (await behind(site, "192.0.2.7", "wrong", **{"x-forwarded-for": "10.9.9.9"})).status_code
        )

    stranger = await behind(site, "10.0.0.2", **{"x-forwarded-for": "192.0.2.1, 192.0.2.9"})
    operator = await behind(site, "10.0.0.2", **{"x-forwarded-for": "192.0.2.9, 198.51.100.4"})
    liar = await behind(site, "192.0.2.7", **{"x-forwarded-for": "198.51.100.4"})
    assert [429, 200, 429] == [each.status_code for each in (stranger, operator, liar)]


async def test_the_log_names_no_address(site: Site, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """A refused login is told with its network, as all else is."""
    await behind(site, "192.0.2.9", "wrong")

    assert ["A login to the status page from 192.0.2.0/24 was refused."] == [
        record.getMessage() for record in caplog.records if record.name == "scalix.page"
    ]


@pytest.mark.parametrize(
    ("peer", "said", "is_secure"),
    [("10.0.0.2", "https", True), ("10.0.0.2", "http", False), ("192.0.2.7", "https", False)],
)
async def test_behind_a_trusted_proxy_with_tls_the_cookie_is_secure(
    site: Site, store: Store, peer: str, said: str, is_secure: bool
) -> None:
    """By what it says of the browser's connection; nobody else's word counts."""
    answer = await behind(site, peer, **{"x-forwarded-proto": said})

    assert is_secure == ("; Secure" in answer.headers["set-cookie"])


async def test_over_tls_the_cookie_is_secure(site: Site, store: Store) -> None:
    """So that no browser sends it in the clear."""
    transport = httpx.ASGITransport(site.edge)
    async with httpx.AsyncClient(transport=transport, base_url="https://gateway.example") as client:
        answer = await client.post("/scalix/login", headers=PAGE, json={"key": MASTER_KEY})

    assert answer.headers["set-cookie"].endswith("HttpOnly; SameSite=Strict; Secure")
    assert "Secure" not in (await login(site)).headers["set-cookie"]


# --- what is served --------------------------------------------------------------------------


async def test_the_page_itself_is_open_and_holds_nothing(site: Site, store: Store) -> None:
    """Nothing of it may come from elsewhere or be framed; what it loads is kept until it changes."""
    answer = await site.ask("GET", "/scalix/")
    loaded = re.findall(r'(?:src|href)="(/scalix/static/[^"]+)"', answer.text)
    policy = answer.headers["content-security-policy"]

    assert (200, "no-cache") == (answer.status_code, answer.headers["cache-control"])
    assert policy.startswith("default-src 'self';") and "unsafe" not in policy
    assert 3 == len(loaded)
    for address in loaded:
        file = await site.ask("GET", address)
        assert (200, True) == (file.status_code, "immutable" in file.headers["cache-control"])
        assert policy == file.headers["content-security-policy"]
    again = await site.ask("GET", "/scalix/", headers={"if-none-match": answer.headers["etag"]})
    assert (304, b"") == (again.status_code, again.content)
    moved = await site.ask("GET", "/scalix")
    assert (308, "/scalix/") == (moved.status_code, moved.headers["location"])
    assert 405 == (await site.ask("POST", "/scalix/")).status_code


@pytest.mark.parametrize("name", ["", "x", "app.js/", "../routes.py", "index.html", "..%2froutes.py"])
async def test_no_other_file_is_served(site: Site, store: Store, name: str) -> None:
    """Whatever is asked for is looked up among the page's own names."""
    answer = await site.ask("GET", f"/scalix/static/v/{name}")

    assert answer.status_code in (401, 404)


async def test_a_file_of_another_version_is_not_kept(site: Site, store: Store) -> None:
    """While workers are replaced one by one, a browser may ask the old one for the new file."""
    answer = await site.ask("GET", "/scalix/static/000000000000/app.js")

    assert (200, "no-store") == (answer.status_code, answer.headers["cache-control"])


def test_nothing_in_the_files_needs_a_weaker_policy() -> None:
    """No inline script or style, no markup made of text, no address of elsewhere."""
    html = (STATIC / "index.html").read_text()
    scripts = {path.name: path.read_text() for path in STATIC.glob("*.js")}
    forbidden = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function")

    assert [] == re.findall(r"<style|\sstyle=|\son\w+=|<script(?![^>]*src=)", html)
    assert [] == [(name, word) for name, text in scripts.items() for word in forbidden if word in text]
    everything = html + "".join(scripts.values()) + (STATIC / "style.css").read_text()
    addresses = re.findall(r"https?://[^\s'\"]+", everything)
    assert {"http://www.w3.org/2000/svg"} == set(addresses)


# --- what is told ----------------------------------------------------------------------------


async def test_the_front_page_tells_all(site: Site, store: Store) -> None:
    """What is in the ledger, in the stores and in the workers' heads."""
    site.world.clock.advance(minutes=30)
    body = told(await site.ask("GET", "/scalix/page/overview", key=MASTER_KEY))

    assert ("2030-01-31", 2, "13.500000000") == (
        body["today"]["data"]["day"],
        body["today"]["data"]["total"]["calls"],
        f"{float(body['today']['data']['total']['price_usd']):.9f}",
    )
    # The ledger of these tests also holds calls of tomorrow.
    assert 5 == body["recent"]["data"]["calls"]
    assert [("ada", 2)] == [(row["user"], row["calls"]) for row in body["users"]["data"]]
    assert {"open_calls": 2, "pending": 7} == body["outbox"]["data"]
    models = {model["name"]: model for model in body["models"]}
    assert (True, 1_805.0) == (models["gpt-4.1"]["auto"]["is_down"], models["gpt-4.1"]["auto"]["seen_s_ago"])
    assert (False, ["SOME_API_KEY"]) == (
        models["free-unready"]["is_ready"],
        models["free-unready"]["missing"],
    )
    assert {"running": 1, "set": 2} == body["workers"]
    words = " ".join(finding["text"] for finding in body["findings"])
    assert "1 of 2 workers" in words and "gpt-4.1" in words and "rest after failures: gpt-4." in words


async def test_each_part_fails_alone(site: Site, store: Store) -> None:
    """Redis and the database away: an answer all the same, which says so part by part."""
    store.is_lost = True
    site.world.break_database()
    body = told(await site.ask("GET", "/scalix/page/overview", key=MASTER_KEY))

    assert "Redis does not answer." == body["outbox"]["error"]
    assert {"The database does not answer."} == {body[part]["error"] for part in ("today", "recent", "users")}
    assert body["resting"]["error"] is body["live"]["error"] is None
    assert body["rollouts"]["data"]["flags"]
    assert "darkMode" in body["findings"][-1]["text"]


async def test_a_users_page_tells_all_of_it(site: Site, store: Store, key: str) -> None:
    """Limits, keys, today's sums, its calls, newest first; never the key."""
    site.world.accounts.set_tier("ada", "pro")
    body = told(await site.ask("GET", "/scalix/page/user?id=ada", key=MASTER_KEY))

    assert ("pro", "open") == (body["tier"], body["keys"][0]["state"])
    assert [("requests", 3_600, 100, 0), ("tokens", 86_400, 100_000, 0)] == [
        (each["unit"], each["window_s"], each["limit"], each["used"]) for each in body["limits"]
    ]
    assert ["r3", "r2", "r1", "r0"] == [call["request_id"] for call in body["calls"]]
    assert {"gpt-4.1": 1, "flash": 1} == {row["model"]: row["calls"] for row in body["models"]}
    assert key not in str(body)
    store.is_lost = True
    assert told(await site.ask("GET", "/scalix/page/user?id=ada", key=MASTER_KEY))["limits"] is None


async def test_who_has_no_account_but_calls_has_a_page(site: Site, store: Store) -> None:
    """An operator may act for anybody."""
    body = told(await site.ask("GET", "/scalix/page/user?id=bob", key=MASTER_KEY))

    assert ("free", None, []) == (body["tier"], body["account"], body["keys"])
    assert ["r4"] == [call["request_id"] for call in body["calls"]]


async def test_a_calls_page_has_every_attempt(site: Site, store: Store) -> None:
    """Found by the request's id or by the call's; the oldest first."""
    second = replace(RECORDS[0], call_id="c9", attempt=2, at=NOON + timedelta(minutes=5))
    UsageRecords(site.world.engine).insert([(second.to_json(), False)])
    by_request = told(await site.ask("GET", "/scalix/page/call?id=r0", key=MASTER_KEY))
    by_call = told(await site.ask("GET", "/scalix/page/call?id=c9", key=MASTER_KEY))

    assert [1, 2] == [call["attempt"] for call in by_request["calls"]]
    assert ["c9"] == [call["call_id"] for call in by_call["calls"]]


async def test_a_call_is_shown_with_its_trace(site: Site, store: Store) -> None:
    """Also a refused request, which has no record; without Redis the record is shown all the same."""
    by_id = {
        id: told(await site.ask("GET", f"/scalix/page/call?id={id}", key=MASTER_KEY))
        for id in ("r1", "r2", "refused")
    }
    store.is_lost = True
    alone = told(await site.ask("GET", "/scalix/page/call?id=r1", key=MASTER_KEY))

    assert [(1, 1), (1, 0), (0, 1)] == [(len(each["calls"]), len(each["traces"])) for each in by_id.values()]
    assert (1, None) == (len(alone["calls"]), alone["traces"])


async def test_a_call_is_found_by_the_apps_own_id(site: Site, store: Store) -> None:
    """All its attempts, in their order, with their records."""
    body = told(await site.ask("GET", "/scalix/page/call?id=the-app%27s%3Aattempt-1", key=MASTER_KEY))

    assert ["r1", "r2"] == [call["request_id"] for call in body["calls"]]
    assert 3 == len(body["traces"])


async def test_a_trace_is_shown_while_the_database_is_away(site: Site, store: Store) -> None:
    """It lies in Redis, and is what is wanted then."""
    site.world.break_database()
    body = told(await site.ask("GET", "/scalix/page/call?id=refused", key=MASTER_KEY))

    assert (None, 1) == (body["calls"], len(body["traces"]))


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 400),
        ("?id=", 400),
        ("?id=%00", 400),
        (f"?id={'x' * 129}", 400),
        ("?id=nobody", 404),
        ("?id=%3Cscript%3E", 404),
        ("?id=' OR 1=1 --", 404),
        ("?id=..%2F..%2F", 404),
    ],
)
@pytest.mark.parametrize("what", ["user", "call"])
async def test_strange_ids_are_refused_in_words(
    site: Site, store: Store, what: str, query: str, status: int
) -> None:
    """Never a 500, and nothing of them in the answer."""
    answer = await site.ask("GET", f"/scalix/page/{what}{query}", key=MASTER_KEY)

    assert status == answer.status_code
    assert "script" not in answer.text


async def test_a_database_that_is_away_is_said(site: Site, store: Store) -> None:
    """With when to try again."""
    site.world.break_database()
    for what in ("user", "call"):
        answer = await site.ask("GET", f"/scalix/page/{what}?id=ada", key=MASTER_KEY)

        assert (503, "5") == (answer.status_code, answer.headers["retry-after"])
