"""Errors as their readers meet them: the user's SDK, the operator's figures."""

import uuid
from typing import Any

import httpx
import openai
import pytest
from prometheus_client.parser import text_string_to_metric_families

from scalix_callbacks.demo_provider.testing import DemoProviderServer
from tests.system.asking import CHAT, ask, quiet, user
from tests.system.gateway_process import GatewayProcess

MODEL = "free-gemini-flash"


def errors_counted(gateway: GatewayProcess) -> dict[tuple[str, str, str], float]:
    """(category, tier, model) → how many, over both workers."""
    with gateway.client() as operator:
        page = operator.get("/metrics").text
    return {
        (labels["error_type"], labels["user_type"], labels["model"]): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == "scalix_errors_by_model_total"
        for labels in [sample.labels]
    }


def test_an_error_is_counted_for_its_user_model_and_category(gateway: GatewayProcess) -> None:
    """In the ledger, in the user's own figures, and as a metric without the user."""
    name, key = user(gateway, "pro")
    before = errors_counted(gateway)
    with gateway.client(key) as client:
        for _ in range(2):
            client.post(CHAT, json=ask("[demo fail=500]", model=MODEL))
        client.post(CHAT, json=ask("[demo fail=429]", model="anthropic/x"))
        client.post(CHAT, json=ask(model=MODEL))
        quiet(gateway)
        stats = client.get("/v1/user/stats").json()["analytics"]
    with gateway.client() as operator:
        asked = {"by": "user,model,category", "user_id": name}
        rows = operator.get("/scalix/admin/usage", params=asked).json()["usage"]
    counted = errors_counted(gateway)

    assert {(MODEL, "PROVIDER_ERROR"): 2, ("anthropic/x", "PROVIDER_RATE_LIMITED"): 1, (MODEL, None): 1} == {
        (row["model"], row["category"]): row["calls"] for row in rows
    }
    assert {"PROVIDER_ERROR": 2, "PROVIDER_RATE_LIMITED": 1} == stats["errors_by_category"]
    for labels, times in (
        (("PROVIDER_ERROR", "pro", MODEL), 2),
        (("PROVIDER_RATE_LIMITED", "pro", "anthropic/*"), 1),
    ):
        assert times == counted[labels] - before.get(labels, 0)


def test_refusals_that_reach_no_provider_are_counted_too(gateway: GatewayProcess) -> None:
    """They have no record; their labels hold nothing that a client chose."""
    nonsense = f"model-{uuid.uuid4().hex}"
    name, key = user(gateway, "free")
    before = errors_counted(gateway)
    with gateway.client(key) as client:
        client.post(CHAT, json=ask(model=nonsense))
        client.post(CHAT, json=ask(model="gpt-4"))
        client.post(CHAT, json=ask(model="scalix/auto"))
        client.post(CHAT, json={"messages": []})
    with gateway.client(f"scalix_{'x' * 32}") as stranger:
        stranger.post(CHAT, json=ask())
    counted = errors_counted(gateway)
    with gateway.client() as operator:
        page = operator.get("/metrics").text

    assert {
        ("MODEL_NOT_FOUND", "free", "other"): 1,
        ("MODEL_NOT_IN_TIER", "free", "gpt-4"): 1,
        ("MODEL_NOT_IN_TIER", "free", "scalix/auto"): 1,
        ("INVALID_REQUEST", "free", "none"): 1,
        ("INVALID_API_KEY", "unknown", "none"): 1,
    } == {labels: new for labels, value in counted.items() if (new := value - before.get(labels, 0))}
    assert nonsense not in page
    assert name not in page


ONCE, AGAIN = 1, 3
"""HTTP requests that OpenAI's SDK makes, which retries twice by itself."""


@pytest.mark.parametrize(
    ("how", "category", "requests"),
    [
        ("401", "PROVIDER_AUTH", ONCE),
        ("402", "PROVIDER_AUTH", ONCE),
        ("403", "PROVIDER_AUTH", ONCE),
        ("404", "MODEL_UNAVAILABLE", ONCE),
        ("400", "INVALID_REQUEST", ONCE),
        ("429", "PROVIDER_RATE_LIMITED", AGAIN),
        ("500", "PROVIDER_ERROR", AGAIN),
    ],
)
@pytest.mark.parametrize("is_stream", [False, True])
def test_openais_sdk_tries_again_what_may_succeed_and_nothing_else(
    gateway: GatewayProcess,
    provider: DemoProviderServer,
    how: str,
    category: str,
    requests: int,
    is_stream: bool,
) -> None:
    """It reads the status, which is 502 or 503 for most of them, and then the header."""
    _, key = user(gateway, "pro")
    sent: list[httpx.Request] = []
    with (
        httpx.Client(event_hooks={"request": [sent.append]}) as http,
        openai.OpenAI(api_key=key, base_url=f"{gateway.url}/v1", http_client=http) as client,
        pytest.raises(openai.APIStatusError) as caught,
    ):
        client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": f"[demo fail={how}]"}], stream=is_stream
        )
    error: Any = caught.value.body

    assert (category, requests > 1) == (error["code"], error["retryable"])
    assert requests == len(sent)
