"""Prompts that are too long for a model, and content it declines, go where the operator sends them."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from scalix_callbacks.demo_provider.testing import DemoProviderServer
from tests.system.asking import CHAT, ask, records, user
from tests.system.gateway_process import UPSTREAM_KEY, GatewayProcess, write_config
from tests.system.test_failover import answered

TOKENS = 5
NAMES = (
    "free-short",
    "free-long",
    "free-lenient",
    "free-other",
    "free-plain",
    "gpt-4.1",
    "gpt-5",
    "scalix-wide",
)
PRICES = [
    {"model": "gpt-4.1", "input_usd_per_1k": 0.01, "output_usd_per_1k": 0.01},
    {"model": "scalix-wide", "input_usd_per_1k": 0.001, "output_usd_per_1k": 0.001},
    {"model": "gpt-5", "input_usd_per_1k": 0.02, "output_usd_per_1k": 0.02},
]


@pytest.fixture(scope="module")
def chained(
    provider: DemoProviderServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    """`free-short` and `gpt-4.1` have chains of each kind, `free-plain` has an ordinary one alone."""
    folder = tmp_path_factory.mktemp("chained")
    served = {"api_base": provider.base_url, "api_key": UPSTREAM_KEY, "cooldown_time": 0}
    config = write_config(
        folder / "c.yaml",
        {name: {"model": f"openai/{name}", **served} for name in NAMES},
        router_settings={
            "fallbacks": [{"free-short": ["free-other"]}, {"free-plain": ["free-other"]}],
            "context_window_fallbacks": [
                {"free-short": ["free-long"]},
                {"gpt-4.1": ["gpt-5", "scalix-wide"]},
            ],
            "content_policy_fallbacks": [{"free-short": ["free-lenient"]}],
            "num_retries": 2,
        },
        scalix={"prices": PRICES},
    )
    process = GatewayProcess(config, folder / "data", workers=1)
    yield process
    assert process.stop() == 0


def told_to_fail(provider: DemoProviderServer, model: str, recorded: str) -> None:
    provider.script(model=model, failure=recorded)


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize(
    ("recorded", "used"),
    [("context_window", "free-long"), ("content_policy", "free-lenient"), ("server_error", "free-other")],
)
def test_each_failure_has_its_own_chain(
    chained: GatewayProcess, provider: DemoProviderServer, recorded: str, used: str, is_stream: bool
) -> None:
    """Neither is tried again by the model that said so; what answers is told and recorded."""
    provider.reset()
    told_to_fail(provider, "free-short", recorded)
    name, key = user(chained, "free")
    _, _, told = answered(chained, key, ask(model="free-short", max_tokens=TOKENS, stream=is_stream))
    (record,) = records(chained, name)

    assert {
        "requested": "free-short",
        "recommended": None,
        "used": used,
        "reason": "fallback",
        "fallback_options": ["free-other", "free-long", "free-lenient"],
    } == told["model_selection"]
    assert ("ok", "free-short", used) == (
        *(record["outcome"], record["model_requested"], record["model_used"]),
    )
    tries = 3 if recorded == "server_error" else 1
    assert ["free-short"] * tries + [used] == [call["model"] for call in provider.calls()]


@pytest.mark.parametrize("recorded", ["context_window", "content_policy"])
def test_without_a_chain_of_its_own_the_ordinary_one_is_followed(
    chained: GatewayProcess, provider: DemoProviderServer, recorded: str
) -> None:
    """LiteLLM alone would give up as soon as any other model has one."""
    provider.reset()
    told_to_fail(provider, "free-plain", recorded)
    _, key = user(chained, "free")

    _, _, told = answered(chained, key, ask(model="free-plain"))

    assert "free-other" == told["model_selection"]["used"]


@pytest.mark.parametrize("of", ["pro", "narrowed key"])
def test_a_chain_keeps_to_what_its_caller_may_reach(
    chained: GatewayProcess, provider: DemoProviderServer, of: str
) -> None:
    """A narrowed key is led to the models it names alone; the price is the lower of the two models'."""
    provider.reset()
    told_to_fail(provider, "gpt-4.1", "context_window")
    models = {"models": ["gpt-4.1", "scalix-wide"]} if of == "narrowed key" else {}
    name = f"someone-{of.replace(' ', '-')}"
    key = chained.new_key(user_id=name, tier="pro", **models)
    _, _, told = answered(chained, key, ask(model="gpt-4.1", max_tokens=TOKENS))
    record = records(chained, name)[-1]
    used, usd_per_1k = ("scalix-wide", "0.001") if models else ("gpt-5", "0.01")
    tokens = record["prompt_tokens"] + record["completion_tokens"]

    assert used == told["model_selection"]["used"] == record["model_used"]
    assert Decimal(usd_per_1k) * tokens / 1_000 == Decimal(record["price_usd"]) == Decimal(told["cost_usd"])
    assert ["gpt-4.1", used] == [call["model"] for call in provider.calls()]


@pytest.mark.parametrize(
    ("recorded", "category"),
    [("context_window", "CONTEXT_WINDOW_EXCEEDED"), ("content_policy", "CONTENT_POLICY")],
)
def test_where_nothing_in_reach_can_answer_the_first_failure_is_told(
    chained: GatewayProcess, provider: DemoProviderServer, recorded: str, category: str
) -> None:
    """A key with one model has no chain; the error names the next step and costs nothing."""
    provider.reset()
    told_to_fail(provider, "gpt-4.1", recorded)
    key = chained.new_key(user_id=f"alone-{recorded}", tier="pro", models=["gpt-4.1"])
    with chained.client(key) as client:
        answer = client.post(CHAT, json=ask(model="gpt-4.1"))
    error = answer.json()["error"]

    assert (400, category, False) == (answer.status_code, error["code"], error["retryable"])
    assert ["gpt-4.1"] == [call["model"] for call in provider.calls()]
    assert "scalix-wide" not in answer.text


def test_the_chain_may_fail_too(chained: GatewayProcess, provider: DemoProviderServer) -> None:
    """Each of its models is tried once, and the call stays within six calls of providers."""
    provider.reset()
    for model in ("gpt-4.1", "gpt-5", "scalix-wide"):
        told_to_fail(provider, model, "context_window")
    _, key = user(chained, "pro")
    with chained.client(key) as client:
        answer = client.post(CHAT, json=ask(model="gpt-4.1"))

    assert (400, "CONTEXT_WINDOW_EXCEEDED") == (answer.status_code, answer.json()["error"]["code"])
    assert ["gpt-4.1", "gpt-5", "scalix-wide"] == [call["model"] for call in provider.calls()]


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("kind", ["permission_error", "invalid_request_error"])
@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_are_handed_on_at_once(
    chained: GatewayProcess, provider: DemoProviderServer, status: int, kind: str, is_stream: bool
) -> None:
    """They stay refused, whatever the provider's error is called; the next model has other ones."""
    provider.reset()
    provider.script(model="free-plain", status=status, error={"error": {"message": "no", "type": kind}})
    _, key = user(chained, "free")
    code, _, told = answered(chained, key, ask(model="free-plain", stream=is_stream))

    assert (200, "free-other") == (code, told["model_selection"]["used"])
    assert ["free-plain", "free-other"] == [call["model"] for call in provider.calls()]
