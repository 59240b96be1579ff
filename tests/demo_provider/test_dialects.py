"""The demo provider in the wire formats of others: what it checks, and how it refuses."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from scalix_callbacks.demo_provider.dialects import DIALECTS
from scalix_callbacks.demo_provider.dialects.recorded import load
from scalix_callbacks.demo_provider.errors import BadRequest
from scalix_callbacks.demo_provider.testing import DemoProviderServer

KEY = "sk-the-right-one"
BEARER = {"authorization": f"Bearer {KEY}"}
ANTHROPIC = {"x-api-key": KEY, "anthropic-version": "2023-06-01"}
GEMINI = {"x-goog-api-key": KEY}
HELLO = [{"role": "user", "content": "Hello"}]
CONTENTS = [{"role": "user", "parts": [{"text": "Hello"}]}]
GENERATE = "/v1beta/models/gemini-2.5-flash:generateContent"
AZURE = "/openai/deployments/gpt-4.1/chat/completions"
VERSION = "?api-version=2024-10-21"


@pytest.fixture(scope="module")
def locked() -> Iterator[DemoProviderServer]:
    with DemoProviderServer(KEY) as server:
        yield server


@pytest.fixture
def http(locked: DemoProviderServer) -> Iterator[httpx.Client]:
    locked.reset()
    with httpx.Client(base_url=locked.url, timeout=10, trust_env=False) as client:
        yield client
    assert locked.stderr() == ""


def chat(model: str = "gpt-4.1", **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": HELLO, **fields}


def message_in(body: Any) -> str:
    """The provider's words, wherever its form has them."""
    error = body["error"]
    return str(error if isinstance(error, str) else error["message"])


LOCKED = [
    # path, headers with a wrong key, body, status without a key, its words, status with it, its words
    (
        "/openai/v1/chat/completions",
        {"authorization": "Bearer no"},
        chat(),
        401,
        "provide an API key",
        401,
        "Incorrect",
    ),
    (
        "/anthropic/v1/messages",
        {"x-api-key": "no"},
        {},
        401,
        "x-api-key header is required",
        401,
        "invalid x-api-key",
    ),
    (
        f"/gemini{GENERATE}",
        {"x-goog-api-key": "no"},
        {},
        403,
        "unregistered callers",
        400,
        "API key not valid",
    ),
    (
        f"/azure{AZURE}{VERSION}",
        {"api-key": "no"},
        {},
        401,
        "invalid subscription key",
        401,
        "invalid subscription",
    ),
    (
        "/openrouter/api/v1/chat/completions",
        {"authorization": "Bearer no"},
        chat(),
        401,
        "No auth",
        401,
        "User not found",
    ),
    (
        "/deepseek/chat/completions",
        {"authorization": "Bearer no"},
        chat(),
        401,
        "auth header format",
        401,
        "is invalid",
    ),
    (
        "/scalix-engine/v1/engine/chat/completions",
        {"authorization": "Bearer no"},
        chat(),
        401,
        "Virtual Key",
        401,
        "not valid",
    ),
    (
        "/scalix-gateway/v1/gateway/chat/completions",
        {"authorization": "Bearer no"},
        chat(),
        401,
        "Virtual Key",
        401,
        "not valid",
    ),
]


@pytest.mark.parametrize(("path", "wrong", "body", "missing", "words", "refused", "other_words"), LOCKED)
def test_a_missing_and_a_wrong_key_are_refused_in_the_providers_form(
    http: httpx.Client,
    path: str,
    wrong: dict[str, str],
    body: dict[str, Any],
    missing: int,
    words: str,
    refused: int,
    other_words: str,
) -> None:
    """With its status and its words; a key in another provider's header is none."""
    without = http.post(path, json=body, headers={"x-other-key": KEY})
    with_wrong = http.post(path, json=body, headers=wrong)

    assert (missing, refused) == (without.status_code, with_wrong.status_code)
    assert words in message_in(without.json())
    assert other_words in message_in(with_wrong.json())


REFUSED = [
    (
        "/openai/v1/chat/completions",
        BEARER,
        chat(made_up=1),
        400,
        "Unrecognized request argument supplied: made_up",
    ),
    ("/openai/v1/chat/completions", BEARER, chat(reasoning_effort="low"), 400, "reasoning_effort"),
    (
        "/openai/v1/chat/completions",
        BEARER,
        chat("gpt-5", max_tokens=9),
        400,
        "Use 'max_completion_tokens' instead",
    ),
    (
        "/openai/v1/chat/completions",
        BEARER,
        chat("gpt-5", temperature=0),
        400,
        "'temperature' does not support 0",
    ),
    (
        "/openai/v1/chat/completions",
        BEARER,
        {"model": "m", "messages": [{"role": "x"}]},
        400,
        "Invalid value: 'x'",
    ),
    (f"/azure{AZURE}", {"api-key": KEY}, chat(), 404, "Resource not found"),
    (f"/azure{AZURE}{VERSION}", {"api-key": KEY}, {"messages": []}, 400, "messages"),
    (
        "/anthropic/v1/messages",
        {"x-api-key": KEY},
        chat(max_tokens=5),
        400,
        "anthropic-version: header is required",
    ),
    ("/anthropic/v1/messages", ANTHROPIC, chat(), 400, "max_tokens: Field required"),
    ("/anthropic/v1/messages", ANTHROPIC, chat(max_tokens=5, n=2), 400, "n: Extra inputs are not permitted"),
    (
        "/anthropic/v1/messages",
        ANTHROPIC,
        {"model": "m", "max_tokens": 5, "messages": [{"role": "system", "content": "x"}]},
        400,
        "first message must use",
    ),
    (
        "/anthropic/v1/messages",
        ANTHROPIC,
        chat("claude-sonnet-4-6", max_tokens=1_024, thinking={"type": "enabled", "budget_tokens": 1_024}),
        400,
        "`max_tokens` must be greater than `thinking.budget_tokens`",
    ),
    (
        "/anthropic/v1/messages",
        ANTHROPIC,
        chat(
            "claude-3-haiku-20240307", max_tokens=2_048, thinking={"type": "enabled", "budget_tokens": 1_024}
        ),
        400,
        "thinking is not supported",
    ),
    (f"/gemini{GENERATE}", GEMINI, {}, 400, "contents is not specified"),
    (f"/gemini{GENERATE}", GEMINI, {"contents": CONTENTS, "model": "x"}, 400, 'Unknown name "model"'),
    (
        f"/gemini{GENERATE}",
        GEMINI,
        {"contents": CONTENTS, "generationConfig": {"n": 2}},
        400,
        'Unknown name "n"',
    ),
    ("/gemini/v1beta/models/x:embed", GEMINI, {"contents": CONTENTS}, 404, "is not found for API version"),
    (
        "/gemini/v1beta/models/gemini-2.0-flash:generateContent",
        GEMINI,
        {"contents": CONTENTS, "generationConfig": {"thinkingConfig": {"thinkingBudget": 1}}},
        400,
        "thinking is not supported",
    ),
    ("/ollama/api/chat", {}, {"messages": HELLO}, 400, "model is required"),
    ("/ollama/api/chat", {}, chat("llama3.1", think=True), 400, '"llama3.1" does not support thinking'),
    ("/lmstudio/v1/chat/completions", {}, chat(messages=[]), 400, "messages"),
    ("/deepseek/chat/completions", BEARER, chat(max_tokens=0), 400, "max_tokens"),
    ("/openrouter/api/v1/chat/completions", BEARER, {"messages": HELLO}, 400, "model"),
]


@pytest.mark.parametrize(("path", "headers", "body", "status", "words"), REFUSED)
def test_what_the_real_provider_would_refuse_is_refused(
    http: httpx.Client, path: str, headers: dict[str, str], body: dict[str, Any], status: int, words: str
) -> None:
    """So that an adapter which sends it fails in a test."""
    answer = http.post(path, json=body, headers=headers)

    assert status == answer.status_code
    assert words in message_in(answer.json())


@pytest.mark.parametrize("odd", [5, "x", [], None, {"a": []}, [5], [None]])
@pytest.mark.parametrize(
    ("path", "headers", "good"),
    [
        ("/v1/messages", ANTHROPIC, chat("m", max_tokens=5, system="s", thinking={}, stream=False)),
        (
            GENERATE,
            GEMINI,
            {"contents": CONTENTS, "generationConfig": {}, "systemInstruction": {"parts": []}},
        ),
        ("/api/chat", {}, chat("m", options={}, stream=False)),
    ],
    ids=["anthropic", "gemini", "ollama"],
)
def test_odd_values_never_break_it(
    http: httpx.Client, path: str, headers: dict[str, str], good: dict[str, Any], odd: Any
) -> None:
    """Each field in turn holds something else; at the root these paths are served, too."""
    statuses = {http.post(path, json={**good, field: odd}, headers=headers).status_code for field in good}
    assert 200 == http.post(path, json=good, headers=headers).status_code

    assert statuses <= {200, 400}


def test_scripts_directives_and_tags_work_in_each_dialect(
    locked: DemoProviderServer, http: httpx.Client
) -> None:
    """The model that a path names counts as the model."""
    locked.script(text="Scripted.", tag="by-script", model="gemini-2.5-flash", times=1)
    said = http.post(GENERATE, json={"contents": CONTENTS}, headers=GEMINI)
    asked = [{"role": "user", "content": "[demo tokens=2 tag=by-directive]"}]
    whole = http.post("/api/chat", json={"model": "llama3.1", "messages": asked, "stream": False})
    calls = locked.wait_for_calls(2)

    assert "Scripted." == said.json()["candidates"][0]["content"]["parts"][0]["text"]
    assert "Hello from" == whole.json()["message"]["content"]
    assert [("by-script", "gemini-2.5-flash"), ("by-directive", "llama3.1")] == [
        (call["tag"], call["model"]) for call in calls
    ]


def test_a_failure_by_status_has_the_providers_form(http: httpx.Client) -> None:
    """Recorded where one was, else the form alone."""
    recorded = [{"role": "user", "content": "[demo fail=529]"}]
    unrecorded = [{"role": "user", "content": "[demo fail=507]"}]
    body = {"model": "m", "max_tokens": 5}
    busy = http.post("/v1/messages", json={**body, "messages": recorded}, headers=ANTHROPIC)
    other = http.post("/v1/messages", json={**body, "messages": unrecorded}, headers=ANTHROPIC)

    assert (529, "overloaded_error") == (busy.status_code, busy.json()["error"]["type"])
    assert (507, "error") == (other.status_code, other.json()["type"])


def test_an_unknown_failure_says_which_there_are(http: httpx.Client) -> None:
    """In the form of a refusal."""
    body = {"model": "m", "messages": [{"role": "user", "content": "[demo error=nosuch]"}]}
    answer = http.post("/api/chat", json=body)

    assert 400 == answer.status_code
    assert "There is no recorded failure 'nosuch' here; there are context_window," in answer.json()["error"]


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_every_recording_can_be_sent(dialect: Any) -> None:
    """Each has a status and an object for a body, and no blank left to fill in."""
    recorded = dialect.recorded
    bodies = [recorded.named(name, model="m") for name in recorded.names]
    bodies += [recorded.of_status(599), recorded.refusal(BadRequest("Why.", param="p"))]

    assert [] == [each for each in bodies if not isinstance(each.body, dict) or "{" in message_of(each.body)]
    assert all(each.status == 200 or 400 <= each.status <= 599 for each in bodies)


def message_of(body: dict[str, Any]) -> str:
    return message_in(body) if "error" in body else ""


def test_a_blank_alone_keeps_its_type() -> None:
    """Within a longer text it becomes text."""
    refusal = load("gemini").refusal(BadRequest("Why."))
    no_param = load("openai").refusal(BadRequest("Why."))

    assert {"error": {"code": 400, "message": "Why.", "status": "INVALID_ARGUMENT"}} == refusal.body
    assert None is no_param.body["error"]["param"]
