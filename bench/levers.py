"""What each lever of the configuration is worth: LiteLLM as we serve it, with one of them different."""

from collections.abc import Mapping
from contextlib import ExitStack

from bench import servers
from bench.figures import Row
from bench.measure import ask_for, measure, warm_up
from bench.part import Effort, Part, Servers
from bench.rounds import in_turn
from bench.servers import ROOT, Server, Setup

AS_SERVED = "as served"
AT_ONCE = 8
SHORT, LONG = 10, 210
_SITE = (str(ROOT / "bench" / "stock_site"),)
LEVERS: Mapping[str, Setup] = {
    AS_SERVED: Setup(),
    "hosted_vllm/ for openai/": Setup(litellm_params={"model": "hosted_vllm/{}"}),
    "OpenAI's SDK for openai/": Setup(environment={"EXPERIMENTAL_OPENAI_BASE_LLM_HTTP_HANDLER": "false"}),
    "LITELLM_RUST=1": Setup(environment={"LITELLM_RUST": "1"}),
    "without OpenTelemetry's SDK": Setup(environment={"BENCH_HIDDEN": "opentelemetry.sdk"}, paths=_SITE),
    "without httptools": Setup(environment={"BENCH_HTTP": "h11"}),
    "without uvloop": Setup(environment={"BENCH_LOOP": "asyncio"}),
    "LITELLM_LOG=INFO": Setup(environment={"LITELLM_LOG": "INFO"}),
    "without cancel_on_disconnect": Setup(environment={"BENCH_GENERAL": "cancel_on_disconnect=0"}),
}


def levers(others: Servers, effort: Effort) -> Part:
    """Starts its own servers, all at once."""
    with ExitStack() as stack:
        upstream, _ = stack.enter_context(servers.provider())
        running = {name: stack.enter_context(servers.bare(upstream, setup)) for name, setup in LEVERS.items()}
        for server in running.values():
            warm_up(server, ask_for(server, "whole"))
            warm_up(server, ask_for(server, f"chunks-{LONG}", stream=True))
        told = in_turn(
            {name: lambda server=server: _both(server, effort.seconds) for name, server in running.items()},  # type: ignore[misc]
            effort.rounds,
        )
    figures = ("rate", "cpu_ms", "cpu_us_per_chunk")
    ratios: list[Row] = [
        {"": f"{name} ÷ {AS_SERVED}", **{figure: told.ratio(name, AS_SERVED, figure) for figure in figures}}
        for name in LEVERS
        if name != AS_SERVED
    ]
    return Part("Levers", told.rows(figures), ratios)


def _both(server: Server, seconds: float) -> dict[str, float]:
    whole = measure(server, ask_for(server, "whole"), AT_ONCE, seconds)
    short, long = (
        measure(server, ask_for(server, f"chunks-{length}", stream=True), AT_ONCE, seconds / 2)
        for length in (SHORT, LONG)
    )
    return {
        "rate": whole["rate"],
        "cpu_ms": whole["cpu_ms"],
        "cpu_us_per_chunk": (long["cpu_ms"] - short["cpu_ms"]) / (LONG - SHORT) * 1e3,
    }
