"""`litellm --config …` without our launcher: the pack still guards, from LiteLLM's own hooks."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from scalix_callbacks.demo_provider.testing import DemoProviderServer
from scalix_callbacks.ledger.database import connect
from scalix_callbacks.ledger.usage_records import UsageRecords
from tests.system.gateway_process import (
    MASTER_KEY,
    ROOT,
    UPSTREAM_KEY,
    plain_environment,
    wait_until,
    write_config,
)

ASK = [{"role": "user", "content": "canary-prompt-5521"}]
CHAT = "/v1/chat/completions"
DEEP = json.loads("[" * 200 + "]" * 200)


class LiteLLM:
    """A plain LiteLLM proxy, as its own command starts it."""

    def __init__(self, url: str, folder: Path, provider: DemoProviderServer) -> None:
        self.url, self.log, self.provider = url, folder / "alone.log", provider
        self.database = folder / "data" / "scalix.db"

    def post(self, path: str, body: object, **headers: str) -> httpx.Response:
        credential = {"authorization": f"Bearer {MASTER_KEY}"}
        raw = json.dumps(body).encode()
        json_type = {"content-type": "application/json"}
        return httpx.post(
            self.url + path, content=raw, headers={**credential, **json_type, **headers}, timeout=30
        )


@pytest.fixture(scope="module")
def litellm(provider: DemoProviderServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiteLLM]:
    folder = tmp_path_factory.mktemp("alone")
    served = {"model": "openai/demo", "api_base": provider.base_url, "api_key": UPSTREAM_KEY}
    config = write_config(
        folder / "alone.yaml",
        {
            "free-gemini-flash": served,
            "gpt-4": served,
            "free-without-key": {"model": "openai/demo", "api_key": "os.environ/NOBODY_SETS_THIS"},
        },
        litellm_settings={
            "callbacks": ["scalix_callbacks.plugin.callbacks"],
            "global_disable_no_log_param": True,
        },
        general_settings={
            "master_key": "os.environ/LITELLM_MASTER_KEY",
            "custom_auth": "scalix_callbacks.plugin.authenticate",
            "cancel_on_disconnect": True,
        },
        router_settings={"num_retries": 0, "disable_cooldowns": True},
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder / "alone.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [
                Path(sys.executable).parent / "litellm",
                "--config",
                config,
                "--host",
                "127.0.0.1",
                "--port",
                str(port),
            ],
            stdout=sink,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=plain_environment(
                SCALIX_DATA_DIR=str(folder / "data"),
                LITELLM_LOCAL_MODEL_COST_MAP="True",
                PYTHONPATH=str(ROOT),
            ),
        )
    url = f"http://127.0.0.1:{port}"
    wait_until(lambda: _is_alive(url, process, log), 90)
    yield LiteLLM(url, folder, provider)
    process.terminate()
    process.wait(timeout=30)


def _is_alive(url: str, process: subprocess.Popen[bytes], log: Path) -> bool:
    assert process.poll() is None, log.read_text()
    try:
        return httpx.get(f"{url}/health/liveliness").status_code == 200
    except httpx.HTTPError:
        return False


def test_calls_are_identified_and_answered(litellm):
    """JSON and streams work, under the tier of who is acted for."""
    body = {"model": "free-gemini-flash", "user": "someone", "messages": ASK, "max_tokens": 3}
    plain = litellm.post(CHAT, body)
    stream = litellm.post(CHAT, {**body, "stream": True})

    assert (200, "free") == (plain.status_code, plain.headers["x-scalix-tier"])
    assert "data: [DONE]" in stream.text
    assert plain.headers["x-scalix-request-id"] != stream.headers["x-scalix-request-id"]


def test_limits_hold_and_every_call_is_recorded(litellm):
    """11 calls, one of which fails: 10 answered, told what is left, and one record each."""
    body = {"model": "free-gemini-flash", "user": "thrifty", "messages": ASK, "max_tokens": 3}
    failed = {**body, "messages": [{"role": "user", "content": "[demo fail=500]"}]}
    answers = [litellm.post(CHAT, failed)]
    answers += [litellm.post(CHAT, {**body, "stream": i % 2 == 0}) for i in range(11)]
    engine = connect(f"sqlite:///{litellm.database}")
    records = UsageRecords(engine)
    found = wait_until(lambda: len(rows := records.page("thrifty")[0]) >= 11 and rows, 15)
    engine.dispose()

    assert [502] + [200] * 10 + [429] == [answer.status_code for answer in answers]
    assert "RATE_LIMIT_EXCEEDED" == answers[-1].json()["error"]["code"]
    assert "5" == answers[5].headers["x-ratelimit-remaining-requests-1h"]
    assert '"scalix":{"tier":"free"' in answers[1].text
    assert "free" == answers[2].json()["scalix"]["tier"]
    assert ["error"] + ["ok"] * 10 == [record["outcome"] for record in found]


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"model": "gpt-4"}, 403, "MODEL_NOT_IN_TIER"),
        ({"model": "nope"}, 404, "MODEL_NOT_FOUND"),
        ({"model": "free-without-key"}, 503, "MODEL_UNAVAILABLE"),
        ({"extra_headers": {}}, 400, "INVALID_REQUEST"),
        ({"messages": "x"}, 400, "INVALID_REQUEST"),
        ({"messages": [{"role": "user", "content": "\ud800"}]}, 400, None),
        ({"tools": [{"type": "function", "x": DEEP}]}, 400, "INVALID_REQUEST"),
    ],
)
def test_refusals_have_our_form(litellm, fields, status, code):
    """What our auth refuses is told as at our edge."""
    body = {"model": "free-gemini-flash", "user": "someone", "messages": ASK}
    answer = litellm.post(CHAT, {**body, **fields})

    assert status == answer.status_code
    assert code in (None, answer.json()["error"]["code"])


def test_the_address_names_no_other_model(litellm):
    """LiteLLM would take `model` from the query before the body's."""
    body = {"model": "free-gemini-flash", "user": "someone", "messages": ASK, "max_tokens": 2}
    answer = litellm.post(f"{CHAT}?model=gpt-4", body)

    assert (200, "free-gemini-flash") == (answer.status_code, answer.json()["model"])


def test_what_litellm_refuses_before_us_is_no_500(litellm):
    """LiteLLM's own check of the body comes before any hook."""
    body = {
        "model": "free-gemini-flash",
        "user": "someone",
        "messages": ASK,
        "api_base": "http://127.0.0.1:9",
    }

    assert 400 == litellm.post(CHAT, body).status_code


def test_a_bad_key_is_refused(litellm):
    """401 in our form."""
    answer = litellm.post(CHAT, {"model": "free-gemini-flash"}, authorization="Bearer scalix_" + "x" * 43)

    assert (401, "INVALID_API_KEY") == (answer.status_code, answer.json()["error"]["code"])
    assert "LiteLLM Virtual Key expected" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("directive", "code"),
    [("fail=401", "PROVIDER_AUTH"), ("fail=429", "PROVIDER_RATE_LIMITED"), ("fail=500", "PROVIDER_ERROR")],
)
def test_a_providers_failure_has_our_form(litellm, directive, code):
    """The failure hook tells it in our words."""
    body = {"model": "free-gemini-flash", "messages": [{"role": "user", "content": f"[demo {directive}]"}]}
    answer = litellm.post(CHAT, body)

    assert code == answer.json()["error"]["code"]
    assert "demo provider" not in answer.text


def test_users_see_their_models_and_no_admin_route(litellm):
    """The list is narrowed, LiteLLM's own routes are the operator's."""
    headers = {"authorization": f"Bearer {MASTER_KEY}", "x-user-id": "someone"}
    listed = httpx.get(f"{litellm.url}/v1/models", headers=headers).json()["data"]

    assert ["free-gemini-flash"] == [entry["id"] for entry in listed]


def test_the_log_holds_no_secret(litellm):
    """Neither keys nor prompts nor the provider's address."""
    litellm.post(
        CHAT, {"model": "free-gemini-flash", "messages": [{"role": "user", "content": "[demo fail=500]"}]}
    )
    log = litellm.log.read_text()
    address = litellm.provider.base_url.split("//")[1].split("/")[0]

    for secret in (MASTER_KEY, UPSTREAM_KEY, "canary-prompt-5521", address):
        assert secret not in log


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/messages"])
def test_no_endpoint_tells_the_providers_words(litellm, path):
    """Where LiteLLM ignores the failure hook, it renders an exception that holds our words."""
    text = "canary-prompt-5521 [demo fail=401]"
    asked = {"prompt": text} if path == "/v1/completions" else {"messages": [{**ASK[0], "content": text}]}
    answer = litellm.post(path, {"model": "free-gemini-flash", "max_tokens": 3, **asked})

    assert 502 == answer.status_code
    assert "your key is fine" in answer.json()["error"]["message"]
    for words in ("demo provider", "canary-prompt-5521", "OpenAIException"):
        assert words not in answer.text
