"""A short day with three providers: one slow for a time, one failing, one dear; who gets through it best.

Auto mode of the gateway beside the strategies of LiteLLM's own router, over the same deployments. The day is
compressed: what lasts hours takes `PHASE_S`, and everybody's own times stay as they are.
"""

from collections.abc import Mapping
from typing import Any

from bench.figures import Row, quantile
from bench.keys import MASTER_KEY
from bench.load import Ask, Load, load
from bench.part import Effort, Part, Servers
from bench.servers import Server, Setup, bare, shipped
from scalix_callbacks.demo_provider.testing import DemoProviderServer

PHASE_S = 8.0
AT_ONCE = 4
STRATEGIES = (
    "simple-shuffle",
    "latency-based-routing",
    "least-busy",
    "cost-based-routing",
    "usage-based-routing-v2",
)
USD_PER_1M = {"cheap": 0.5, "middle": 2.0, "dear": 20.0}
"""Of prompt and answer alike. `cheap` and `middle` are those that get into trouble."""
WELL: Mapping[str, Any] = {"delay_before_s": 0.1}
SLOW: Mapping[str, Any] = {"delay_before_s": 1.5}
FAILING: Mapping[str, Any] = {"status": 500}
DAY: tuple[Mapping[str, Mapping[str, Any]], ...] = (
    {},
    {"cheap": SLOW},
    {"cheap": SLOW, "middle": FAILING},
    {},
)
"""What is not well in each phase."""


def auto_mode(servers: Servers, effort: Effort) -> Part:
    """Needs none of the servers; LiteLLM without the pack, with all else that our launcher gives it."""
    rows: list[Row] = []
    with DemoProviderServer() as provider:
        with shipped(provider.base_url, Setup(config=_ours(provider.base_url))) as server:
            rows.append(_day("auto mode", provider, server, "scalix/auto", server.keys["plenty"]))
        for strategy in STRATEGIES:
            setup = Setup(config=_theirs(provider.base_url, strategy))
            with bare(provider.base_url, setup) as server:
                rows.append(_day(strategy, provider, server, "day", MASTER_KEY))
    return Part("A day with one provider slow, one failing, one dear", rows)


def _day(name: str, provider: DemoProviderServer, server: Server, model: str, key: str) -> Row:
    body: dict[str, object] = {
        "model": model,
        "messages": [{"role": "user", "content": "Say in a few words what a day is."}],
    }
    ask, told = Ask(server.url, key, body), list[Load]()
    _weather(provider, {})
    load(ask, AT_ONCE, 1.0)
    provider.reset()
    for phase in DAY:
        _weather(provider, phase)
        told.append(load(ask, AT_ONCE, PHASE_S))
    asked = sum(sum(each.statuses.values()) + each.broken for each in told)
    answer_s = [seconds for each in told for seconds in each.answer_s]
    answered = sum(each.statuses[200] for each in told)
    usd = sum(
        USD_PER_1M[call["model"].removeprefix("day-")] * (call["prompt_tokens"] + call["completion_tokens"])
        for call in provider.calls()
        if call["outcome"] == "ok"
    )
    return {
        "": name,
        "calls": asked,
        "answered_%": answered / asked * 100,
        "p50_ms": quantile(answer_s, 0.5) * 1e3,
        "p95_ms": quantile(answer_s, 0.95) * 1e3,
        "mean_ms": sum(answer_s) / len(answer_s) * 1e3,
        "usd_per_1m_calls": usd / max(answered, 1),
    }


def _weather(provider: DemoProviderServer, phase: Mapping[str, Mapping[str, Any]]) -> None:
    for name in USD_PER_1M:
        provider.script(model=f"day-{name}", **phase.get(name, WELL))


def _deployment(upstream: str, name: str) -> dict[str, Any]:
    usd = USD_PER_1M[name] / 1e6
    return {
        "model": f"openai/day-{name}",
        "api_base": upstream,
        "api_key": "bench",
        "input_cost_per_token": usd,
        "output_cost_per_token": usd,
    }


def _theirs(upstream: str, strategy: str) -> dict[str, Any]:
    return {
        "model_list": [
            {"model_name": "day", "litellm_params": _deployment(upstream, name)} for name in USD_PER_1M
        ],
        "router_settings": {"routing_strategy": strategy, "num_retries": 2},
        "litellm_settings": {},
        "general_settings": {"master_key": "os.environ/LITELLM_MASTER_KEY"},
    }


def _ours(upstream: str) -> dict[str, Any]:
    return {
        **_theirs(upstream, "simple-shuffle"),
        "model_list": [
            {"model_name": f"scalix-{name}", "litellm_params": _deployment(upstream, name)}
            for name in USD_PER_1M
        ],
        "scalix": {
            "prices": [
                {
                    "model": f"scalix-{name}",
                    "input_usd_per_1k": usd / 1_000,
                    "output_usd_per_1k": usd / 1_000,
                }
                for name, usd in USD_PER_1M.items()
            ]
        },
    }
