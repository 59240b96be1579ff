"""The engine's calls: files and options through a real gateway, with and without an upstream engine."""

import json
from collections.abc import Iterator

import httpx
import pytest

from scalix_callbacks.demo_provider.testing import DemoProviderServer
from tests.system.asking import records, user
from tests.system.gateway_process import UPSTREAM_KEY, GatewayProcess, write_config

ENGINE_KEY = "sk-engine-5ecret0123456789abcdef"
SECRET = "the_secret_of_the_house"
FILES = [
    {"path": "src/cart.ts", "content": f"export function total() {{ return '{SECRET}' }}\n"},
    {"path": "src/Übersicht.tsx", "content": "import { total } from './cart'\n"},
]
OPTIONS = {"files": FILES, "enable_lazy_edits": True, "enable_smart_files_context": True}
ASK = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why is total wrong?"}]
ENGINE, CHAT = "/v1/engine/chat/completions", "/v1/chat/completions"


@pytest.fixture(scope="module")
def upstream() -> Iterator[DemoProviderServer]:
    with DemoProviderServer() as server:
        yield server


@pytest.fixture(scope="module")
def with_upstream(
    upstream: DemoProviderServer, provider: DemoProviderServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    """A gateway whose `scalix-engine` is an upstream engine first, and a plain provider after it."""
    folder = tmp_path_factory.mktemp("engine")
    plain = {"model": "openai/demo", "api_base": provider.base_url, "api_key": UPSTREAM_KEY}
    there = {"api_base": "os.environ/SCALIX_ENGINE_URL", "api_key": ENGINE_KEY}
    models = [
        {"model_name": "scalix-engine", "litellm_params": {"model": "openai/engine", **there, "order": 1}},
        {"model_name": "scalix-engine", "litellm_params": {**plain, "order": 2}},
        {"model_name": "scalix-engine/*", "litellm_params": {"model": "openai/*", **there}},
        {"model_name": "gpt-4.1", "litellm_params": plain},
        {"model_name": "free-demo", "litellm_params": plain},
    ]
    config = write_config(
        folder / "config.yaml",
        {},
        router_settings={"num_retries": 1, "disable_cooldowns": True},
        scalix={"tiers": {"free": {"limits": []}, "pro": {"limits": []}}},
    )
    config.write_text(config.read_text().replace("model_list: []", f"model_list: {json.dumps(models)}"))
    process = GatewayProcess(config, folder / "data", workers=1, SCALIX_ENGINE_URL=upstream.base_url + "/")
    yield process
    assert 0 == process.stop()


def asked(model: str = "scalix-engine", **fields) -> dict:
    return {"model": model, "messages": ASK, "max_tokens": 5, "scalix_options": OPTIONS, **fields}


def sent(gateway: GatewayProcess, key: str, path: str, body: dict) -> httpx.Response:
    with gateway.client(key) as client:
        return client.post(path, json=body)


def bodies(server: DemoProviderServer) -> list[dict]:
    return [each["body"] for each in server.requests() if each["path"].endswith("/chat/completions")]


def texts(answer: httpx.Response) -> str:
    lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: {")]
    chunks = [json.loads(line) for line in lines]
    return "".join(c["delta"].get("content") or "" for chunk in chunks for c in chunk["choices"])


@pytest.mark.parametrize(
    ("path", "model"),
    [(ENGINE, "gpt-4.1"), ("/v1/gateway/chat/completions", "gpt-4.1"), (CHAT, "scalix-engine")],
)
def test_without_an_upstream_the_files_are_prompt(gateway, provider, path, model):
    """The model finds the files in the system message; nothing else of the options leaves the gateway."""
    name, key = user(gateway, "pro")
    provider.reset()
    answer = sent(gateway, key, path, asked(model))
    (body,) = bodies(provider)

    assert 200 == answer.status_code, answer.text
    assert model == answer.json()["model"]
    assert SECRET in body["messages"][0]["content"]
    assert body["messages"][0]["content"].startswith("Be brief.")
    assert ASK[1:] == body["messages"][1:]
    assert {"model", "messages", "max_tokens"} >= set(body) - {"stream"}
    assert SECRET not in answer.text and "scalix-token-savings" not in answer.text
    assert "left-out=0" in answer.headers["x-scalix-smart-context"]
    (record,) = records(gateway, name)
    assert ("chat", model) == (record["endpoint"], record["model_requested"])
    assert SECRET not in json.dumps(record)


def test_a_stream_begins_with_the_saving(gateway):
    """In the form by which the app knows it, before the first word of the answer."""
    _, key = user(gateway, "pro")
    answer = sent(gateway, key, ENGINE, asked("gpt-4.1", stream=True))

    assert texts(answer).startswith("<think>scalix-token-savings?original-tokens=")
    assert 1 == texts(answer).count("scalix-token-savings")


def test_a_free_user_gets_all_files_and_is_told_so(gateway, provider):
    """What the tier lacks is dropped: smart context and lazy edits, not the files."""
    _, key = user(gateway, "free")
    provider.reset()
    answer = sent(gateway, key, ENGINE, asked("free-gemini-flash", stream=True))
    (body,) = bodies(provider)

    assert "lazy_edits, smart_context" == answer.headers["x-scalix-features-dropped"]
    assert SECRET in body["messages"][0]["content"]
    assert "existing code" not in body["messages"][0]["content"]
    assert "scalix-token-savings" not in texts(answer)


def test_other_chats_take_no_files(gateway, provider):
    """On the plain address only the engine's models do."""
    _, key = user(gateway, "pro")
    provider.reset()
    answer = sent(gateway, key, CHAT, asked("gpt-4.1"))
    (body,) = bodies(provider)

    assert 200 == answer.status_code
    assert ASK == body["messages"]
    assert "scalix_options" not in body


@pytest.mark.parametrize(
    ("files", "status", "said"),
    [
        ([{"path": "../etc/passwd", "content": "x"}], 400, "File 0 (../etc/passwd)"),
        ([{"path": "/etc/passwd", "content": "x"}], 400, "absolute"),
        ([{"path": "a.png", "content": "\x89PNG\0"}], 400, "binary"),
        ([{"path": f"f{i}", "content": ""} for i in range(10_000)], 413, "10,000 files"),
        ([{"path": "a", "content": "word " * 1_100_000}], 413, "5,242,880 bytes"),
    ],
)
def test_files_that_cannot_be_taken_are_refused(gateway, files, status, said):
    """With the file's number, and before anything is counted."""
    name, key = user(gateway, "pro")
    answer = sent(gateway, key, ENGINE, asked("gpt-4.1", scalix_options={"files": files}))

    assert status == answer.status_code
    assert said in answer.json()["error"]["message"]
    assert [] == records(gateway, name)


def test_the_prompt_that_limits_see_holds_the_files(limited):
    """A free user's 10,000 tokens a day do not let 40,000 through in a file."""
    _, key = user(limited, "free")
    files = [{"path": "a.txt", "content": "word " * 40_000}]
    answer = sent(limited, key, ENGINE, asked("free-gemini-flash", scalix_options={"files": files}))

    assert 413 == answer.status_code
    assert "PROMPT_TOO_LARGE" == answer.json()["error"]["code"]


@pytest.mark.parametrize("stream", [False, True])
def test_an_upstream_engine_gets_the_options_and_the_plain_messages(
    with_upstream, upstream, provider, stream
):
    """It does the rest itself, the saving too."""
    _, key = user(with_upstream, "pro")
    upstream.reset(), provider.reset()
    answer = sent(with_upstream, key, CHAT, asked(stream=stream))
    (body,) = bodies(upstream)

    assert 200 == answer.status_code, answer.text
    assert ASK == body["messages"]
    assert OPTIONS == body["scalix_options"]
    assert {"model", "messages", "max_tokens", "scalix_options"} == set(body) - {"stream", "stream_options"}
    assert [] == bodies(provider)
    assert "scalix-token-savings" not in answer.text
    assert "x-scalix-smart-context" not in answer.headers


@pytest.mark.parametrize("options", [None, OPTIONS])
def test_an_upstream_engine_is_told_how_to_think(with_upstream, upstream, options):
    """As the app says it."""
    _, key = user(with_upstream, "pro")
    upstream.reset()
    thinking = {"type": "enabled", "include_thoughts": True, "budget_tokens": 1_000}
    body = (
        asked(thinking=thinking)
        if options
        else {k: v for k, v in asked(thinking=thinking).items() if k != "scalix_options"}
    )
    answer = sent(with_upstream, key, CHAT, body)
    (received,) = bodies(upstream)

    assert 200 == answer.status_code, answer.text
    assert 1_000 == received["thinking"]["budget_tokens"]


@pytest.mark.parametrize("stream", [False, True])
def test_when_the_upstream_fails_the_next_gets_the_files_as_prompt(with_upstream, upstream, provider, stream):
    """The user gets an answer; the options stay within the gateway."""
    name, key = user(with_upstream, "pro")
    upstream.reset(), provider.reset()
    upstream.script(status=503)
    answer = sent(with_upstream, key, CHAT, asked(stream=stream))
    upstream.reset()
    (body,) = bodies(provider)

    assert 200 == answer.status_code, answer.text
    assert SECRET in body["messages"][0]["content"]
    assert "scalix_options" not in body
    assert "x-scalix-smart-context" in answer.headers
    assert stream == ("scalix-token-savings" in answer.text)
    assert SECRET not in json.dumps(records(with_upstream, name))
    assert SECRET not in with_upstream.logs()


@pytest.mark.parametrize("is_up", [True, False])
@pytest.mark.parametrize("stream", [False, True])
def test_the_engines_address_asks_the_upstream_for_any_model(
    with_upstream, upstream, provider, is_up, stream
):
    """The app's Pro path with a plain model's name; while the upstream is away the model itself answers."""
    name, key = user(with_upstream, "pro")
    upstream.reset(), provider.reset()
    if not is_up:
        upstream.stop()
    try:
        answer = sent(with_upstream, key, ENGINE, asked("gpt-4.1", stream=stream))
        by_upstream = bodies(upstream) if is_up else []
    finally:
        if not is_up:
            upstream.start()
    by_provider = bodies(provider)

    assert 200 == answer.status_code, answer.text
    assert ((1, 0) if is_up else (0, 1)) == (len(by_upstream), len(by_provider))
    if is_up:
        assert ("gpt-4.1", OPTIONS) == (by_upstream[0]["model"], by_upstream[0]["scalix_options"])
    else:
        assert SECRET in by_provider[0]["messages"][0]["content"]
    told = answer.text if stream else json.dumps(answer.json())
    assert "scalix-engine/" not in told
    assert '"model":"gpt-4.1"' in told.replace(" ", "")
    (record,) = records(with_upstream, name)
    assert ("gpt-4.1", "ok") == (record["model_requested"], record["outcome"])


def test_a_tier_without_the_engine_is_not_sent_there(with_upstream, upstream, provider):
    """Nobody reaches by the address what the model's name would not open."""
    _, key = user(with_upstream, "free")
    upstream.reset(), provider.reset()
    answer = sent(with_upstream, key, ENGINE, asked("free-demo"))

    assert 200 == answer.status_code, answer.text
    assert (0, 1) == (len(bodies(upstream)), len(bodies(provider)))


@pytest.mark.parametrize("path", [ENGINE, "/v1/gateway/chat/completions"])
def test_the_apps_addresses_need_a_key_like_any(gateway, path):
    """Nobody without one, and by no other method."""
    with gateway.client("scalix_" + "x" * 40) as client:
        assert 401 == client.post(path, json=asked("gpt-4.1")).status_code
        assert 405 == client.get(path).status_code
