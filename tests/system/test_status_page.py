"""The status page in a real browser, of a real gateway under a small load."""

import json
import re
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from tests.browser import chromium
from tests.system.asking import CHAT, ask, at_once, quiet, user
from tests.system.gateway_process import MASTER_KEY, GatewayProcess

HOSTILE = '<img src=x onerror="window.hacked=1">\'&'
FOCUSED = "document.activeElement.id || document.activeElement.textContent.trim()"
PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
SHIFTS = """() => new Promise((done) => {
  let sum = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) sum += entry.value;
  }).observe({ type: 'layout-shift', buffered: true });
  setTimeout(() => done(sum), 300);
})"""


CUT = """() => [...document.querySelectorAll('.panel .body, .tile, .cards td')]
  .filter((each) => each.scrollWidth > each.clientWidth + 1 && !each.matches('.when'))
  .map((each) => each.textContent)"""
LONG_MODEL = "anthropic/" + "-".join(["claude-sonnet-preview"] * 5)
APPS_ID = "0c1e:attempt-"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


class Visit:
    """One visitor's page, and what the browser complained about on it."""

    def __init__(self, context: BrowserContext, gateway: GatewayProcess) -> None:
        self.context = context
        self.page: Page = context.new_page()
        self.complaints: list[str] = []
        self.addresses: list[str] = []
        self.address = f"{gateway.url}/scalix/"
        self.page.on("console", self._noted)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.addresses.append(request.url))

    def _noted(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def log_in(self, place: str = "") -> Page:
        self.page.goto(self.address + place)
        self.page.get_by_label("Operator’s key").fill(MASTER_KEY)
        self.page.keyboard.press("Enter")
        expect(self.page.locator("#bar")).to_be_visible()
        return self.page


@pytest.fixture
def visit(browser: Browser, watched: GatewayProcess, request: pytest.FixtureRequest) -> Iterator[Visit]:
    with browser.new_context(**getattr(request, "param", {})) as context:
        context.set_default_timeout(30_000)
        expect.set_options(timeout=30_000)
        visit = Visit(context, watched)
        yield visit
        assert [] == visit.complaints


def figure(page: Page, user_name: str) -> list[str]:
    """The row of a user among the busiest: calls, failed."""
    row = page.locator("#panel-users tr", has_text=user_name)
    expect(row).to_have_count(1)
    return row.locator("td").all_inner_texts()[1:3]


def test_the_page_shows_the_truth_of_a_load(visit: Visit, watched: GatewayProcess) -> None:
    """Calls, failures and refusals as they really were, on the front page, the user's and the call's."""
    name, key = user(watched, "free")
    answers = at_once(watched, key, [ask() for _ in range(12)])
    failing, failing_key = user(watched, "pro")
    own = {"limits": [{"unit": "tokens", "window_s": 7_200, "limit": 0, "shadow": True}]}
    with watched.client() as operator:
        assert 200 == operator.put(f"/scalix/admin/accounts/{failing}/limits", json=own).status_code
    failed = at_once(watched, failing_key, [ask(model="free-refused") for _ in range(11)])
    named = at_once(
        watched,
        failing_key,
        [ask(model=LONG_MODEL), ask(model="free-refused")],
        lambda i: {"x-scalix-request-id": f"{APPS_ID}{i + 1}"},
    )
    assert [403] == [each.status_code for each in at_once(watched, key, [ask(model="gpt-4")])]
    quiet(watched)
    assert (10, 2) == tuple(sum(each.status_code == status for each in answers) for status in (200, 429))
    assert all(each.status_code >= 500 for each in failed)
    page = visit.log_in()
    with watched.client() as operator:
        sums = operator.get("/scalix/admin/usage", params={"by": "tier"}).json()
        free = next(row for row in sums["usage"] if row["tier"] == "free")

    assert ["10", "0"] == figure(page, name)
    assert ["13", "12"] == figure(page, failing)
    tier = page.locator("#panel-tiers tr", has_text="free").locator("td")
    expect(tier.nth(1)).to_have_text(f"{free['calls']:,}")
    refused = page.locator("#panel-refusals tr", has_text="requests per hour").locator("td").last
    assert 2 <= int(refused.inner_text())
    shadow = page.locator("#panel-refusals tr", has_text="(shadow: answered)").locator("td").last
    assert 11 <= int(shadow.inner_text())
    expect(page.locator("#panel-refusals tr", has_text="model not in tier")).to_be_visible()
    expect(page.locator("#panel-models")).to_contain_text(LONG_MODEL)
    for width in (1_280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        assert [] == page.evaluate(CUT)
    page.set_viewport_size({"width": 1_280, "height": 900})
    expect(page.locator("#panel-errors")).to_contain_text("provider error")
    expect(page.locator("#panel-state")).to_contain_text("2 of 2")
    model = page.locator("#panel-models tr", has_text="free-refused")
    expect(model).to_contain_text(re.compile("failing|down"))  # by how they fell, auto mode leaves it, too
    expect(page.locator("#findings")).to_contain_text("minutes failed")
    expect(page.locator("#panel-failures")).to_contain_text(failing)
    rollout = page.locator("#panel-rollouts tr", has_text="liteLLM")
    expect(rollout).to_contain_text("running")
    expect(rollout).to_contain_text("new 100 % · free 10 % · active 0 % · pro 0 %")

    page.get_by_label("User or request id").fill(name)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    limit = page.locator("tr", has_text="requests per hour").locator("td")
    expect(limit.nth(1)).to_have_text("10 of 10")
    expect(limit.nth(2)).to_have_text("0")
    page.locator("a[href^='#/call/']").first.click()
    expect(page.locator("dl")).to_contain_text("free-gemini-flash")
    request_ids = {each.headers["x-scalix-request-id"] for each in answers}
    assert page.url.rsplit("/", 1)[1] in request_ids
    steps = page.locator(".trace tbody tr")
    expect(steps.first).to_contain_text("received")
    expect(steps.filter(has_text="admitted")).to_contain_text("requests:3600")
    expect(steps.filter(has_text="settled")).to_contain_text("outcome ok")

    refused_id = next(each.headers["x-scalix-request-id"] for each in answers if each.status_code == 429)
    page.get_by_label("User or request id").fill(refused_id)
    page.keyboard.press("Enter")
    expect(steps.filter(has_text="refused")).to_contain_text("limit requests:3600")
    expect(page.locator(".panel", has_text="Request").first).to_contain_text("rate limit exceeded")

    page.get_by_label("User or request id").fill(f"{APPS_ID}1")
    page.keyboard.press("Enter")
    expect(page.locator("dl").first).to_contain_text(named[0].headers["x-scalix-request-id"])
    expect(steps.filter(has_text="settled")).to_contain_text("outcome ok")
    # The browser says so when a name is none of a user, before the page asks whether it is a request's.
    visit.complaints = [each for each in visit.complaints if "404" not in each]


def test_it_follows_what_happens(visit: Visit, watched: GatewayProcess) -> None:
    """Without a reload: a call shows up by itself."""
    page = visit.log_in()
    name, key = user(watched, "pro")
    calls = page.locator("#panel-users tr", has_text=name).locator("td").nth(1)
    with watched.client(key) as client:
        assert 200 == client.post(CHAT, json=ask(model="gpt-4.1")).status_code
        expect(calls).to_have_text("1")
        assert 200 == client.post(CHAT, json=ask(model="gpt-4.1")).status_code
        expect(calls).to_have_text("2")


def test_only_the_operators_key_opens_it(browser: Browser, watched: GatewayProcess) -> None:
    """A user's key does not, and says so in words; no key is in any address, page or storage."""
    _, key = user(watched, "pro")
    with browser.new_context() as context:
        visit = Visit(context, watched)
        page = visit.page
        page.goto(visit.address)
        page.get_by_label("Operator’s key").fill(key)
        page.get_by_role("button", name="Log in").click()
        expect(page.locator("#why")).to_contain_text("not the operator's key")
        assert not context.cookies()
        visit.log_in()
        page.locator("#panel-users .body").wait_for()
        cookies = context.cookies()
        kept = json.dumps([cookies, visit.addresses, page.content(), page.evaluate("({...localStorage})")])

        assert MASTER_KEY not in kept
        assert [("scalix_session", True, "Strict", "/scalix/")] == [
            (each["name"], each["httpOnly"], each["sameSite"], each["path"]) for each in cookies
        ]
        outside = [url for url in visit.addresses if not url.startswith(watched.url)]
        assert [] == outside
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_label("Operator’s key")).to_be_focused()
        assert not context.cookies()
        assert 401 == httpx.get(f"{watched.url}/scalix/page/overview").status_code


def test_a_session_is_good_at_every_worker_and_after_a_reload(visit: Visit, watched: GatewayProcess) -> None:
    """It is signed, not remembered."""
    page = visit.log_in()
    page.reload()
    expect(page.locator("#bar")).to_be_visible()
    cookie = {each["name"]: each["value"] for each in visit.context.cookies()}
    for _ in range(10):  # each on a connection of its own, to whichever worker takes it
        answer = httpx.get(f"{watched.url}/scalix/page/overview", cookies=cookie)
        assert 200 == answer.status_code


def test_the_keyboard_is_enough(visit: Visit) -> None:
    """Every control is reached by Tab, in the order of the page, and shows that it is."""
    page = visit.log_in()
    page.locator("#panel-users .body table, #panel-users .empty").first.wait_for()
    page.reload()
    page.locator("#panel-users .body table, #panel-users .empty").first.wait_for()
    reached = []
    for _ in range(5):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()")
        )

    assert ["Skip to the figures", "Scalix Gateway", "wanted", "Find", "logout"] == reached
    page.locator("#logout").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Operator’s key")).to_be_focused()


@pytest.mark.parametrize("visit", [PHONE, {**PHONE, "color_scheme": "dark"}], indirect=True)
def test_it_fits_a_phone(visit: Visit) -> None:
    """Nothing lies outside of 360 pixels, and what is touched is large enough."""
    page = visit.log_in()
    page.locator("#panel-models table, #panel-models .empty").first.wait_for()

    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for control in page.locator("#bar button, #bar input").all():
        box = control.bounding_box()
        assert box is not None and box["height"] >= 40


@pytest.mark.parametrize("visit", [{"color_scheme": "light"}, {"color_scheme": "dark"}], indirect=True)
def test_text_can_be_read_in_light_and_dark(visit: Visit) -> None:
    """WCAG's 4.5 to 1 for what is written faintly, and for each state."""
    page = visit.log_in()
    ratios = page.evaluate("""() => {
      const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
      const channel = (v) => (v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
      const light = (name) => {
        canvas.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
        canvas.fillRect(0, 0, 1, 1);
        const [r, g, b] = canvas.getImageData(0, 0, 1, 1).data;
        return 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
      };
      const pairs = [['--ink', '--sheet'], ['--faint', '--sheet'], ['--faint', '--ground'],
        ['--accent', '--sheet'],
        ['--good', '--good-soft'], ['--warn', '--warn-soft'], ['--bad', '--bad-soft'], ['--bad', '--sheet'],
        ['--accent-ink', '--accent'], ['--faint', '--warn-soft'], ['--faint', '--bad-soft']];
      return pairs.map((pair) => {
        const [dark, bright] = pair.map(light).sort((a, b) => a - b);
        return [pair.join(' on '), (bright + 0.05) / (dark + 0.05)];
      });
    }""")

    assert [] == [(name, round(ratio, 2)) for name, ratio in ratios if ratio < 4.5]


def test_nothing_jumps_while_it_loads(visit: Visit) -> None:
    """Google's measure of layout shifts, good up to 0.1."""
    page = visit.log_in()
    page.reload()
    page.locator("#panel-users table, #panel-users .empty").first.wait_for()

    assert page.evaluate(SHIFTS) < 0.1


def test_hostile_names_are_text(visit: Visit) -> None:
    """Whatever ids, models and messages hold, none of it becomes markup or script."""

    def poisoned(route: Route) -> None:
        answer = route.fetch()
        told = answer.json()
        row = {
            "calls": 1,
            "outcomes": {"error": 1},
            "total_tokens": 1,
            "price_usd": "1",
            "provider_cost_usd": "1",
        }
        told["users"]["data"] = [{**row, "user": HOSTILE}]
        told["models"] = [
            {"name": HOSTILE, "is_ready": False, "missing": [HOSTILE], "resting_until": None, "auto": None}
        ]
        told["today"]["data"] |= {
            "tiers": [{**row, "tier": HOSTILE}],
            "categories": [{**row, "category": HOSTILE}],
            "models": [{**row, "model": HOSTILE}],
        }
        failure = {"request_id": HOSTILE, "at": HOSTILE, "model": HOSTILE, "category": HOSTILE}
        told["recent"]["data"] |= {"failures": [{**failure, "user_id": HOSTILE}]}
        told["findings"] = [{"severity": "bad", "text": HOSTILE, "mend": HOSTILE}]
        told["version"] = HOSTILE
        route.fulfill(response=answer, json=told)

    visit.page.route("**/scalix/page/overview", poisoned)
    page = visit.log_in()
    expect(page.locator("#panel-users")).to_contain_text(HOSTILE)
    expect(page.locator("#findings")).to_contain_text(HOSTILE)

    assert (0, None) == (page.locator("main img").count(), page.evaluate("window.hacked ?? null"))
    page.locator("#panel-users a").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE)
    assert (0, None) == (page.locator("main img").count(), page.evaluate("window.hacked ?? null"))
    visit.complaints = [each for each in visit.complaints if "404" not in each]


def test_what_is_away_is_said(visit: Visit) -> None:
    """Redis and the database away, and then the gateway itself: words beside the last figures."""
    state = {"away": False}

    def lessened(route: Route) -> None:
        if state["away"]:
            route.fulfill(status=503, json={"error": {"message": "The gateway is being restarted."}})
            return
        answer = route.fetch()
        told = answer.json()
        told["users"]["error"] = told["today"]["error"] = "The database does not answer."
        told["recent"] |= {"data": None, "error": "The database does not answer."}
        told["health"]["redis"]["status"] = "down"
        route.fulfill(response=answer, json=told)

    visit.page.route("**/scalix/page/overview", lessened)
    page = visit.log_in()

    expect(page.locator("#panel-users .stale")).to_contain_text(
        "The database does not answer. These figures are of"
    )
    expect(page.locator("#panel-traffic")).to_contain_text("Not known right now.")
    expect(page.locator("#panel-state")).to_contain_text("down")
    state["away"] = True
    expect(page.locator("#findings")).to_contain_text("What you see below is old.")
    expect(page.locator("#panel-users .stale")).to_be_visible()
    visit.complaints = [each for each in visit.complaints if "503" not in each]


def test_who_is_not_known_is_told_so(visit: Visit) -> None:
    """A wrong spelling is a sentence, not an empty page."""
    page = visit.log_in(f"#/user/nobody-{uuid.uuid4().hex}")

    expect(page.get_by_role("alert").filter(has_text="There is no such account")).to_be_visible()
    visit.complaints = [each for each in visit.complaints if "404" not in each]
