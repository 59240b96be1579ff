"""What the edge notes of a request, and who may read it."""

from typing import Any

import pytest

from scalix_callbacks.core.call import CURRENT_CALL, Call
from scalix_callbacks.core.call_told import told_of, trace_object
from scalix_callbacks.store.errors import StoreLost
from scalix_callbacks.web.edge import Edge
from scalix_callbacks.web.traces import trace_page
from tests.web.conftest import MAX_BODY_BYTES, Site, reply, stream
from tests.world import MASTER_KEY

CHAT = "/v1/chat/completions"
ASK = {"model": "free-flash", "messages": [{"role": "user", "content": "PROMPT"}]}


class Told:
    """Remembers what was told to it."""

    is_wanted = True

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def over(self, call: Call) -> None:
        self.calls.append(call)

    @property
    def last(self) -> dict[str, Any]:
        (call,) = self.calls
        return trace_object(call, told_of(call))

    @property
    def steps(self) -> list[str]:
        return [step["step"] for step in self.last["steps"]]


def traced(site: Site, *, simulates: bool = False) -> Told:
    """The site's edge, made anew so that it tells."""
    told = Told()
    site.edge.__init__(  # type: ignore[misc]  # the client and the routes know this one
        site.inner,
        gateway=site.world.gateway,
        meter=site.world.meter,
        own=site.edge._own,
        exists=site.inner.exists,
        max_body_bytes=MAX_BODY_BYTES,
        traced=told,
        simulates=simulates,
    )
    return told


async def test_a_call_is_told_step_by_step(site: Site, key: str) -> None:
    """Who, what, which limits, and how it ended; nothing of what was said."""
    told = traced(site)
    headers = {"x-scalix-client": "desktop-app", "x-scalix-version": "1.2", "x-scalix-session": "s1"}
    answer = await site.ask("POST", CHAT, key=key, json=ASK, headers=headers)

    assert [
        *("received", "identified", "body_read", "screened", "admitted", "passed_on", "ended"),
    ] == told.steps
    assert (answer.headers["x-scalix-request-id"], "ada", 200, "desktop-app", "1.2", "s1") == tuple(
        told.last[name] for name in ("request_id", "user_id", "status", "client", "version", "session")
    )
    assert "PROMPT" not in str(told.last) and key not in str(told.last)


@pytest.mark.parametrize(
    ("body", "category", "steps"),
    [
        ({**ASK, "model": "gpt-4"}, "MODEL_NOT_IN_TIER", 4),
        ({**ASK, "api_base": "http://x"}, "INVALID_REQUEST", 4),
        (b"{", "INVALID_REQUEST", 4),
        (b"x" * (MAX_BODY_BYTES + 1), "REQUEST_TOO_LARGE", 3),
    ],
)
async def test_a_refusal_is_told_too(site: Site, key: str, body: Any, category: str, steps: int) -> None:
    """As far as it came."""
    told = traced(site)
    sent = {"content": body} if isinstance(body, bytes) else {"json": body}
    await site.ask("POST", CHAT, key=key, **sent)

    assert (category, "refused", steps) == (told.last["category"], told.last["outcome"], len(told.steps))


async def test_a_stranger_is_told_without_a_name(site: Site) -> None:
    """Its key is nowhere."""
    told = traced(site)
    await site.ask("POST", CHAT, key="scalix_" + "u" * 43, json=ASK)

    assert ["received", "ended"] == told.steps
    assert "user_id" not in told.last and "uuuu" not in str(told.last)


async def test_what_is_no_call_is_told_where_it_fails(site: Site, key: str) -> None:
    """Health checks, pages and lists that went well would hide the rest; an address may hold anything."""
    told = traced(site)
    for path in ("/v1/models", "/v1/health", "/scalix/"):
        await site.ask("GET", path, key=key)
    assert [] == told.calls
    await site.ask("GET", "/secret/path", key=key)

    assert "NOT_FOUND" == told.last["category"] and "secret" not in str(told.last)


async def test_a_stream_that_fails_is_told_with_its_error(site: Site, key: str) -> None:
    """Its status was 200 before."""
    told = traced(site)
    error = b'data: {"error": {"category": "PROVIDER_ERROR", "message": "x"}}\n\n'
    site.inner.reply = stream(b'data: {"choices": []}\n\n', error)
    await site.ask("POST", CHAT, key=key, json={**ASK, "stream": True})

    assert (200, "PROVIDER_ERROR") == (told.last["status"], told.last["category"])


async def test_nothing_is_noted_where_nobody_wants_it(site: Site, key: str) -> None:
    """Then a call costs what it did before."""
    told = traced(site)
    told.is_wanted = False
    traced_again = site.edge
    Edge.__init__(
        traced_again,
        site.inner,
        gateway=site.world.gateway,
        meter=site.world.meter,
        own={},
        exists=site.inner.exists,
        max_body_bytes=MAX_BODY_BYTES,
        traced=told,
    )
    await site.ask("POST", CHAT, key=key, json=ASK)

    assert [] == told.calls


# --- simulated failures -----------------------------------------------------------------------


@pytest.mark.parametrize("value", ["network", "anything"])
async def test_in_production_the_header_means_nothing(site: Site, key: str, value: str) -> None:
    """It is not even looked at, and goes no further."""
    noted: list[Call | None] = []
    answers = reply(200, b"{}")

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        noted.append(CURRENT_CALL.get())
        await answers(scope, receive, send)

    site.inner.reply = inner
    answer = await site.ask("POST", CHAT, key=key, json=ASK, headers={"x-scalix-simulate": value})

    assert (200, None) == (answer.status_code, noted[0].simulated if noted[0] else "no call")
    assert b"x-scalix-simulate" not in site.inner.headers


async def test_in_development_an_unknown_failure_is_refused(site: Site, key: str) -> None:
    """With the names there are."""
    traced(site, simulates=True)
    answer = await site.ask("POST", CHAT, key=key, json=ASK, headers={"x-scalix-simulate": "flood"})

    assert (400, "X-Scalix-Simulate") == (answer.status_code, answer.json()["error"]["param"])
    assert "network, rate_limit, server" in answer.json()["error"]["message"]
    assert [] == site.inner.scopes


# --- the operator's page ----------------------------------------------------------------------


class Store:
    def __init__(self, *found: dict[str, Any], is_lost: bool = False) -> None:
        self.found, self.is_lost = list(found), is_lost
        self.asked: list[str] = []

    async def find(self, id: str) -> list[dict[str, Any]]:
        self.asked.append(id)
        if self.is_lost:
            raise StoreLost("x")
        return self.found


async def read(site: Site, store: Store | None, id: str, key: str = MASTER_KEY) -> tuple[int, Any]:
    site.edge._own["/scalix/admin/traces/{id}"] = trace_page(store)  # type: ignore[index]  # a dict
    answer = await site.ask("GET", f"/scalix/admin/traces/{id}", key=key)
    return answer.status_code, answer.json()


async def test_the_operator_reads_a_trace(site: Site) -> None:
    """By an id that may hold anything."""
    store = Store({"request_id": "r1"})

    assert (200, {"id": "a/b%", "traces": [{"request_id": "r1"}]}) == await read(site, store, "a%2Fb%25")
    assert ["a/b%"] == store.asked


async def test_a_user_reads_none(site: Site, key: str) -> None:
    """Not even its own: it tells of models and limits what is the operator's."""
    store = Store({"request_id": "r1"})
    status, body = await read(site, store, "r1", key)

    assert (403, "PERMISSION_DENIED", []) == (status, body["error"]["code"], store.asked)


@pytest.mark.parametrize(
    ("store", "id", "status", "words"),
    [
        (Store(), "r1", 404, "kept for a day at most"),
        (None, "r1", 404, "SCALIX_TRACE_MB is 0"),
        (Store(is_lost=True), "r1", 503, "Redis does not answer"),
        (Store(), "x" * 200, 400, "1 to 128 printable characters"),
        (Store(), "%00", 400, "1 to 128 printable characters"),
    ],
)
async def test_what_there_is_not_is_said(
    site: Site, store: Store | None, id: str, status: int, words: str
) -> None:
    """And what to do about it."""
    found, body = await read(site, store, id)

    assert status == found
    assert words in body["error"]["message"]
