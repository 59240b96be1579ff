"""Auto mode in a real gateway of two workers: a model that fails or is slow is left until it is well."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import yaml

from scalix_callbacks.demo_provider.testing import DemoProviderServer
from tests.system.asking import CHAT, ask, at_once, records, user
from tests.system.gateway_process import UPSTREAM_KEY, GatewayProcess, wait_until

CONTEXTS = {"free-a": 2_000, "free-b": 1_000, "gpt-4.1": 4_000}


@pytest.fixture(scope="module")
def auto(provider: DemoProviderServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """`free-a` goes before the others; each is known upstream as `auto-` and its name."""
    folder = tmp_path_factory.mktemp("auto")
    models = [
        {
            "model_name": name,
            "litellm_params": {
                "model": f"openai/auto-{name}",
                "api_base": provider.base_url,
                "api_key": UPSTREAM_KEY,
            },
            "model_info": {"max_input_tokens": context},
        }
        for name, context in CONTEXTS.items()
    ]
    prices = [
        {"model": "free-*", "input_usd_per_1k": 0, "output_usd_per_1k": 0},
        {"model": "gpt-4.1", "input_usd_per_1k": 0.002, "output_usd_per_1k": 0.008},
    ]
    config = folder / "auto.yaml"
    config.write_text(
        yaml.safe_dump(
            {
                "model_list": models,
                "router_settings": {"num_retries": 0, "disable_cooldowns": True},
                "scalix": {
                    # How fast each is, a busy machine decides.
                    "auto": {"priority": {"free-a": 2, "free-b": 1}, "weights": {"latency": 0}},
                    "prices": prices,
                    "tiers": {"free": {"limits": []}, "pro": {"limits": []}},
                },
            }
        )
    )
    process = GatewayProcess(config, folder / "data", workers=2)
    yield process
    assert process.stop() == 0


def selection(answer: httpx.Response) -> dict[str, Any]:
    assert 200 == answer.status_code, answer.text
    return dict(answer.json()["scalix"]["model_selection"])


def recommended(gateway: GatewayProcess, key: str) -> set[str]:
    """What auto mode chose for a dozen calls on connections of their own, which both workers take."""
    answers = at_once(gateway, key, [ask(model="auto")] * 12)
    return {selection(answer)["recommended"] for answer in answers}


@pytest.fixture(autouse=True)
def all_is_well(auto: GatewayProcess) -> None:
    """What another test has shown of the models is over."""
    _, key = user(auto)
    wait_until(lambda: {"free-a"} == recommended(auto, key), 90)


def test_an_answer_says_what_was_chosen(auto: GatewayProcess) -> None:
    """In the answer and in the last chunk of a stream; the ledger has what was asked and what answered."""
    name, key = user(auto)
    with auto.client(key) as client:
        whole = selection(client.post(CHAT, json=ask(model="auto")))
        stream = client.post(CHAT, json=ask(model="free-auto", stream=True)).text
    chunk = json.loads(stream.split("data: ")[-2])
    written = records(auto, name)

    assert {"free-a", "free-b"} == {whole["recommended"], *whole["fallback_options"]}
    assert ("auto", whole["recommended"]) == (whole["requested"], whole["used"])
    assert whole["reason"].startswith("auto: ")
    told = chunk["scalix"]["model_selection"]
    assert ("free-auto", told["recommended"]) == (told["requested"], told["used"])
    assert [("auto", whole["used"]), ("free-auto", told["used"])] == [
        (record["model_requested"], record["model_used"]) for record in written
    ]


def test_a_failing_model_is_left_and_comes_back(auto: GatewayProcess, provider: DemoProviderServer) -> None:
    """No caller sees a failure: a fallback answers until both workers know. Once it is well, it is back."""
    _, key = user(auto)
    provider.script(status=500, model="auto-free-a")
    try:
        wait_until(lambda: {"free-b"} == recommended(auto, key), 30)
    finally:
        provider.script(model="auto-free-a")

    wait_until(lambda: {"free-a"} == recommended(auto, key), 60)


def test_what_is_paid_is_the_price_of_the_model_that_answers(
    auto: GatewayProcess, provider: DemoProviderServer
) -> None:
    """A call chosen for a free model and answered by a priced one costs nothing."""
    name, key = user(auto, "pro")
    for model in ("auto-free-a", "auto-free-b"):
        provider.script(status=500, model=model)
    try:
        with auto.client(key) as client:
            told = selection(client.post(CHAT, json=ask(model="scalix/auto")))
    finally:
        for model in ("auto-free-a", "auto-free-b"):
            provider.script(model=model)
    (record,) = records(auto, name)

    assert told["recommended"] in ("free-a", "free-b")
    assert ("gpt-4.1", "fallback") == (told["used"], told["reason"])
    assert ("scalix/auto", "gpt-4.1", 0.0) == (
        record["model_requested"],
        record["model_used"],
        float(record["price_usd"]),
    )


def test_a_prompt_chooses_a_model_that_reads_it(auto: GatewayProcess) -> None:
    """About 1,500 tokens fit into 2,000; about 3,000 fit into none of the free ones."""
    _, key = user(auto)
    with auto.client(key) as client:
        fits = selection(client.post(CHAT, json=ask("word " * 1_500, model="auto")))
        refused = client.post(CHAT, json=ask("word " * 3_000, model="auto"))

    assert ("free-a", []) == (fits["recommended"], fits["fallback_options"])
    assert (400, "CONTEXT_WINDOW_EXCEEDED") == (refused.status_code, refused.json()["error"]["code"])
    assert "read 2,000 at most. Shorten it" in refused.json()["error"]["message"]


def test_who_may_ask_for_what(auto: GatewayProcess) -> None:
    """The free plan has no scalix/auto; a narrowed key chooses among its models."""
    _, free = user(auto)
    name, _ = user(auto, "pro")
    narrow = auto.new_key(user_id=name, models=["gpt-4.1", "scalix/auto"])
    with auto.client(free) as client:
        refused = client.post(CHAT, json=ask(model="scalix/auto"))
        listed = {model["id"] for model in client.get("/v1/models").json()["data"]}
    with auto.client(narrow) as client:
        chosen = selection(client.post(CHAT, json=ask(model="scalix/auto")))
        embedded = client.post("/v1/embeddings", json={"model": "auto", "input": "x"})
        listed_narrow = {model["id"] for model in client.get("/v1/models").json()["data"]}

    assert (403, "MODEL_NOT_IN_TIER") == (refused.status_code, refused.json()["error"]["code"])
    assert {"free-a", "free-b", "auto", "free-auto"} == listed
    assert ("gpt-4.1", []) == (chosen["recommended"], chosen["fallback_options"])
    assert {"gpt-4.1", "scalix/auto", "auto"} == listed_narrow
    assert 400 == embedded.status_code
