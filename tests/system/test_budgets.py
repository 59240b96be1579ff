"""What a budget pays for, and what users are told of it, by the whole product and two workers."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from scalix_callbacks.demo_provider.testing import DemoProviderServer
from tests.system.asking import CHAT, ask, at_once, only_record, quiet, records
from tests.system.gateway_process import UPSTREAM_KEY, GatewayProcess, write_config

PRICES = [
    {"model": "gpt-4", "input_usd_per_1k": 0.03, "output_usd_per_1k": "0.03"},
    {"model": "dear", "tier": "premium", "input_usd_per_1k": 0.001, "output_usd_per_1k": 0.002},
    {"model": "dear", "input_usd_per_1k": 0.1, "output_usd_per_1k": 0.2, "from": "2020-01-01"},
]


@pytest.fixture(scope="module")
def priced(
    provider: DemoProviderServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    """Two workers; `cheap` costs its operator a known price, `gpt-4` falls back to it."""
    folder = tmp_path_factory.mktemp("priced")
    served = {"model": "openai/demo", "api_base": provider.base_url, "api_key": UPSTREAM_KEY}
    own = {"input_cost_per_token": 3e-07, "output_cost_per_token": 2.5e-06}
    config = write_config(
        folder / "c.yaml",
        {
            "free-flash": served,
            "gpt-4": served,
            "dear": {**served, **own},
            "failing": {**served, "model": "openai/demo-fail-500"},
            "unpriced": served,
        },
        router_settings={"fallbacks": [{"failing": ["dear"]}], "num_retries": 0, "disable_cooldowns": True},
        scalix={"prices": [*PRICES, {"model": "failing", "input_usd_per_1k": 1, "output_usd_per_1k": 1}]},
    )
    process = GatewayProcess(config, folder / "data", workers=2)
    yield process
    assert process.stop() == 0


def test_a_budget_for_three_answers_three_of_eight(
    priced: GatewayProcess, provider: DemoProviderServer
) -> None:
    """All at once, and never more; when it is used up, the refusal is one the app knows."""
    name = "eight"
    # 100 tokens of output are 0.003, and the prompt about 0.0003: three fit, a fourth does not.
    key = priced.new_key(user_id=name, tier="premium", max_budget="0.0118")
    provider.reset()
    body = ask("Hi [demo tokens=100]", model="gpt-4", max_tokens=100)
    answers = at_once(priced, key, [body] * 8)
    statuses = Counter(answer.status_code for answer in answers)

    assert 1 <= statuses[200] <= 3
    assert statuses.keys() <= {200, 402, 429}
    assert statuses[200] == len(provider.tally()["calls"])
    quiet(priced)
    with priced.client(key) as client:
        while (answer := client.post(CHAT, json=body)).status_code == 200:
            statuses[200] += 1
        info = client.get("/v1/user/info").json()["user_info"]
        budget = client.get("/v1/user/budget").json()
        free = client.post(CHAT, json=ask("Hi", model="free-flash"))
    found = records(priced, name)
    spent = sum(Decimal(record["price_usd"]) for record in found)
    error = answer.json()["error"]

    assert 3 == statuses[200]
    assert (402, "BUDGET_EXCEEDED") == (answer.status_code, error["code"])
    assert "ExceededBudget:" in error["message"]
    assert ("usd", "0.011800") == (error["limit"]["unit"], error["limit"]["limit"])
    assert error["actions"]
    assert Decimal("0.009") <= spent <= Decimal("0.0118")
    assert (float(spent), 0.0118) == (info["spend"], info["max_budget"])
    assert (info["budget_reset_at"], 2_592_000) == (budget["budget_reset_at"], budget["window_s"])
    assert spent == Decimal(budget["spend_usd"]) == Decimal("0.0118") - Decimal(budget["remaining_usd"])
    assert (200, "0.000000") == (free.status_code, free.json()["scalix"]["cost_usd"])


@pytest.mark.parametrize("stream", [False, True])
def test_both_prices_are_recorded_to_the_nano_dollar(priced: GatewayProcess, stream: bool) -> None:
    """The tier's own price for the user, the deployment's own for its operator."""
    name = f"exact-{stream}"
    key = priced.new_key(user_id=name, tier="premium")
    with priced.client(key) as client:
        answer = client.post(CHAT, json=ask("[demo tokens=7]", model="dear", max_tokens=50, stream=stream))
        info = client.get("/v1/user/info").json()["user_info"]
    (record,) = records(priced, name)
    prompt, completion = record["prompt_tokens"], record["completion_tokens"]
    price = (prompt * 1_000 + completion * 2_000) * Decimal("0.000000001")
    cost = (prompt * 300 + completion * 2_500) * Decimal("0.000000001")

    assert 7 == completion
    assert (price, cost) == (Decimal(record["price_usd"]), Decimal(record["provider_cost_usd"]))
    assert f'"cost_usd":"{record["price_usd"]}"' in answer.text.replace(" ", "")
    assert {"spend": float(price), "max_budget": None, "budget_reset_at": None} == info


def test_a_fallback_costs_no_more_than_what_was_asked_for(priced: GatewayProcess) -> None:
    """The price of the model that answered, where that is the lower one."""
    key = priced.new_key(user_id="fallen", tier="premium", max_budget=5)
    with priced.client(key) as client:
        answer = client.post(CHAT, json=ask(model="failing"))
    (record,) = records(priced, "fallen")
    tokens = record["prompt_tokens"] * 1_000 + record["completion_tokens"] * 2_000

    assert (200, "dear") == (answer.status_code, record["model_used"])
    assert tokens * Decimal("0.000000001") == Decimal(record["price_usd"])


def test_what_is_cut_is_charged_for_what_was_received(priced: GatewayProcess) -> None:
    """The prompt and the text so far, at both prices."""
    key = priced.new_key(user_id="cut", tier="premium")
    body = ask("[demo tokens=100 delay_per_token=0.2]", model="dear", max_tokens=100, stream=True)
    with priced.client(key) as client, client.stream("POST", CHAT, json=body) as answer:
        for _, line in zip(
            range(3), (line for line in answer.iter_lines() if '"content":"' in line), strict=False
        ):
            assert line
    record: dict[str, Any] = only_record(priced, "cut")
    prompt, completion = record["prompt_tokens"], record["completion_tokens"]

    assert "aborted" == record["outcome"]
    assert (prompt * 1_000 + completion * 2_000) * Decimal("0.000000001") == Decimal(record["price_usd"])
    assert (prompt * 300 + completion * 2_500) * Decimal("0.000000001") == Decimal(
        record["provider_cost_usd"]
    )


def test_a_model_without_a_price_is_no_way_around_a_budget(priced: GatewayProcess) -> None:
    """Refused under one, answered and unknown without."""
    with_one = priced.new_key(user_id="limited", tier="premium", max_budget=5)
    without = priced.new_key(user_id="unlimited", tier="premium")
    with priced.client(with_one) as client:
        refused = client.post(CHAT, json=ask(model="unpriced"))
    with priced.client(without) as client:
        answered = client.post(CHAT, json=ask(model="unpriced"))
    (record,) = records(priced, "unlimited")

    assert (402, "BUDGET_EXCEEDED") == (refused.status_code, refused.json()["error"]["code"])
    assert "ExceededBudget:" in refused.json()["error"]["message"]
    assert (200, None) == (answered.status_code, answered.json()["scalix"]["cost_usd"])
    assert (None, None) == (record["price_usd"], record["provider_cost_usd"])
    assert [] == records(priced, "limited")
