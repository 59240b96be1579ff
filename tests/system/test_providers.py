"""One model of each provider through a real gateway, each in its own wire format."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from scalix_callbacks.demo_provider.testing import DemoProviderServer
from tests.providers.matrix import KEY, NAMES, WAYS, Way
from tests.system.asking import CHAT, records, user
from tests.system.gateway_process import GatewayProcess, write_config

BILLED = "[demo prompt_tokens=900 completion_tokens=80 cached_tokens=300 reasoning_tokens=30]"


@pytest.fixture(scope="module")
def spoken() -> Iterator[DemoProviderServer]:
    """A demo provider that insists on its key."""
    with DemoProviderServer(KEY) as server:
        yield server


@pytest.fixture(scope="module")
def everywhere(
    spoken: DemoProviderServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    """A gateway with one model of each provider, as our configuration has them."""
    folder = tmp_path_factory.mktemp("providers")
    models = {f"by-{way.name}": way.params(spoken) for way in WAYS}
    config = write_config(
        folder / "c.yaml",
        models,
        litellm_settings={"drop_params": True},
        router_settings={"num_retries": 0, "disable_cooldowns": True},
    )
    process = GatewayProcess(config, folder / "data")
    yield process
    assert 0 == process.stop()


@pytest.mark.parametrize("way", WAYS, ids=NAMES)
def test_each_provider_answers_and_is_recorded(
    way: Way, everywhere: GatewayProcess, spoken: DemoProviderServer
) -> None:
    """Whole and streamed; the ledger has one record of each call with what the provider reported."""
    name, key = user(everywhere, "premium")
    body = {"model": f"by-{way.name}", "messages": [{"role": "user", "content": BILLED}], "max_tokens": 100}
    with everywhere.client(key) as client:
        whole = client.post(CHAT, json=body)
        streamed = client.post(CHAT, json={**body, "stream": True})
    found = records(everywhere, name)

    assert (200, 200) == (whole.status_code, streamed.status_code), whole.text + streamed.text
    assert whole.json()["choices"][0]["message"]["content"].startswith("Hello from the Scalix demo provider!")
    texts, usage = read(streamed.text)
    assert texts.startswith("Hello from the Scalix demo provider!")
    told = [whole.json()["usage"], usage]
    assert [(900, 80), (900, 80)] == [(each["prompt_tokens"], each["completion_tokens"]) for each in told]
    assert [False, True] == sorted(record["stream"] for record in found)
    for record in found:
        assert ("ok", 1, 900, 80, False) == (
            record["outcome"],
            record["requests_counted"],
            record["prompt_tokens"],
            record["completion_tokens"],
            record["estimated"],
        )
        if way.reports_details:
            assert (300, 30) == (record["cached_tokens"], record["reasoning_tokens"])
    assert KEY not in everywhere.logs()


@pytest.mark.parametrize("way", WAYS, ids=NAMES)
def test_a_provider_that_refuses_the_gateway_is_not_the_users_fault(
    way: Way, everywhere: GatewayProcess
) -> None:
    """Its 403 is a 502 of ours, without its words; nothing is charged."""
    name, key = user(everywhere, "premium")
    message = {"role": "user", "content": "[demo error=forbidden]"}
    with everywhere.client(key) as client:
        answer = client.post(CHAT, json={"model": f"by-{way.name}", "messages": [message]})
    (record,) = records(everywhere, name)

    assert (502, "PROVIDER_AUTH") == (answer.status_code, answer.json()["error"]["code"])
    assert ("error", "PROVIDER_AUTH", 0) == (
        record["outcome"],
        record["error_category"],
        record["requests_counted"],
    )


REASONING = {
    "anthropic": "thinking",
    "deepseek": "thinking",
    "openai": None,
    "openrouter": None,
    "ollama": None,
}


@pytest.mark.parametrize("name", REASONING)
def test_reasoning_reaches_the_models_that_have_it(
    name: str, everywhere: GatewayProcess, spoken: DemoProviderServer
) -> None:
    """And the others are asked without it, through the router as well."""
    _, key = user(everywhere, "premium")
    spoken.reset()
    body = {"model": f"by-{name}", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3_000}
    with everywhere.client(key) as client:
        answer = client.post(CHAT, json={**body, "reasoning_effort": "low"})
    (request,) = spoken.requests()
    sent = set(request["body"]) & {"thinking", "think", "reasoning", "reasoning_effort"}

    assert 200 == answer.status_code, answer.text
    assert ({REASONING[name]} if REASONING[name] else set()) == sent


def read(stream: str) -> tuple[str, dict[str, Any]]:
    """The text of a streamed answer, and its usage, which is told once."""
    lines = [line.removeprefix("data: ") for line in stream.splitlines() if line.startswith("data: {")]
    chunks = [json.loads(line) for line in lines]
    texts = [c["delta"].get("content") or "" for chunk in chunks for c in chunk["choices"]]
    (usage,) = [chunk["usage"] for chunk in chunks if chunk.get("usage")]
    return "".join(texts), usage
