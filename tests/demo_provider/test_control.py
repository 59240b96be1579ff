"""The control API."""

from typing import Any

import httpx
import pytest

from scalix_callbacks.demo_provider.script import Script, ScriptError
from scalix_callbacks.demo_provider.testing import DemoProviderServer

from .support import chat


def test_health(http: httpx.Client) -> None:
    """It says it is there, and how busy."""
    assert {"status": "ok", "in_flight": 0} == http.get("/_demo/health").json()


def test_a_script_for_two_calls_of_one_model(provider: DemoProviderServer, http: httpx.Client) -> None:
    """Retries and fallbacks can be staged per model."""
    provider.script(status=503, times=2, model="a")
    models = ["a", "b", "a", "a"]
    statuses = [http.post("/v1/chat/completions", json=chat(model=model)).status_code for model in models]

    assert [503, 200, 503, 200] == statuses


def test_a_script_for_a_message(provider: DemoProviderServer, http: httpx.Client) -> None:
    """One of many concurrent calls can be chosen by its words."""
    provider.script(Script(text="Earl Grey."), match="tea")
    texts = [
        http.post("/v1/chat/completions", json=chat(text)).json()["choices"][0]["message"]["content"]
        for text in ("Some tea?", "Some coffee?", "More tea?")
    ]

    assert ["Earl Grey.", "Hello from", "Earl Grey."] == [text[:10] for text in texts]


def test_waiting_scripts_are_shown_and_reset(provider: DemoProviderServer, http: httpx.Client) -> None:
    """A test can see what it has set, and start afresh."""
    order = {"script": {"tokens": 3}, "times": 2, "model": "a", "match": "tea"}

    assert {"waiting": 1} == http.post("/_demo/script", json=order).json()
    shown = http.get("/_demo/script").json()["scripts"]
    assert [(3, 2, "a", "tea")] == [
        (each["script"]["tokens"], each["times"], each["model"], each["match"]) for each in shown
    ]
    assert {"waiting": 0} == http.delete("/_demo/script").json()
    assert {"scripts": []} == http.get("/_demo/script").json()


@pytest.mark.parametrize(
    ("order", "complaint"),
    [
        ({}, "script must be an object"),
        ({"script": {}, "when": 1}, "no field 'when'"),
        ({"script": {"tokens": -1}}, "tokens must be an integer"),
        ({"script": {}, "times": 0}, "times must be null or an integer"),
        ({"script": {}, "model": 1}, "model must be null or a text"),
        ({"script": {}, "match": ""}, "match must be null or a text"),
        ([], "must be a JSON object"),
    ],
)
def test_a_bad_order_is_a_400_that_says_why(http: httpx.Client, order: Any, complaint: str) -> None:
    """Nothing is queued, and the message names the field."""
    answer = http.post("/_demo/script", json=order)

    assert 400 == answer.status_code
    assert complaint in answer.json()["error"]["message"]
    assert {"scripts": []} == http.get("/_demo/script").json()


def test_the_helper_refuses_a_bad_script(provider: DemoProviderServer) -> None:
    """A test with a typing mistake fails where the mistake is."""
    with pytest.raises(ScriptError, match="status must be"):
        provider.script(status=42)
    with pytest.raises(httpx.HTTPStatusError):
        provider.script(times=0)


def test_an_entry_of_the_tally(provider: DemoProviderServer, http: httpx.Client) -> None:
    """All that is known of a call, without its prompt or its key."""
    http.post("/v1/chat/completions", json=chat(max_tokens=2, user="me"), headers={"x-extra": "1"})
    call = provider.calls()[0]

    expected = {
        "model": "demo",
        "endpoint": "chat",
        "stream": False,
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "outcome": "ok",
        "http_status": 200,
        "request_keys": ["max_tokens", "messages", "model", "user"],
        "reported_usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
        "tag": None,
    }
    assert expected == {name: call[name] for name in expected}
    assert {"authorization", "x-extra", "host"} <= set(call["header_names"])
    assert sorted(call["header_names"]) == call["header_names"]
    assert 0 <= call["duration_ms"] < 5_000
    assert {"id", "at", "duration_ms", "header_names", *expected} == set(call)


@pytest.mark.parametrize("ask", ["[demo tag=call-7]", "[demo fail=503 tag=call-7]"])
def test_a_call_is_found_by_its_tag(provider: DemoProviderServer, http: httpx.Client, ask: str) -> None:
    """Who asked finds what became of it, answered or not."""
    http.post("/v1/chat/completions", json=chat())
    http.post("/v1/chat/completions", json=chat(messages=[{"role": "user", "content": ask}]))

    assert [None, "call-7"] == [call["tag"] for call in provider.calls()]


def test_the_tally_since_an_id(provider: DemoProviderServer, http: httpx.Client) -> None:
    """Only later calls are listed; the totals are always over all."""
    for model in ("a", "b", "c"):
        http.post("/v1/chat/completions", json=chat(model=model))
    first = provider.calls()[0]["id"]
    later = provider.tally(since=first)

    assert ["b", "c"] == [call["model"] for call in later["calls"]]
    assert 3 == later["totals"]["calls"]


@pytest.mark.parametrize("since", ["x", "-1", "1.5", "", "9" * 19, "²"])
def test_a_bad_since_is_refused(http: httpx.Client, since: str) -> None:
    """`since` is the id of a call."""
    assert 400 == http.get("/_demo/tally", params={"since": since}).status_code


def test_the_tally_is_reset(provider: DemoProviderServer, http: httpx.Client) -> None:
    """After a reset nothing is counted, and what ran before is not counted any more."""
    http.post("/v1/chat/completions", json=chat())
    answer = http.delete("/_demo/tally").json()

    assert (0, 0) == (answer["totals"]["calls"], answer["totals"]["total_tokens"])
    assert [] == provider.calls()


def test_requests_are_shown_whole(provider: DemoProviderServer, http: httpx.Client) -> None:
    """The provider's side sees body and headers as they came, refused calls too."""
    http.post("/v1/chat/completions", json=chat("Secret?", scalix_options={"files": []}))
    httpx.post(f"{provider.base_url}/responses", content=b"{oops", trust_env=False)
    first, second = provider.requests()

    assert chat("Secret?", scalix_options={"files": []}) == first["body"]
    assert "Bearer any-key" == first["headers"]["authorization"]
    assert ("POST", "/v1/responses", "{oops") == (second["method"], second["path"], second["body"])
    assert {"requests": []} == http.delete("/_demo/requests").json()
    assert [] == provider.requests()


def test_a_wrong_method_is_refused(http: httpx.Client) -> None:
    """Reading is no writing."""
    assert 405 == http.put("/_demo/script", json={}).status_code
    assert 405 == http.get("/v1/chat/completions").status_code
