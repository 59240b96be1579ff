"""Calls to count, and what Prometheus' own parser reads of the counts."""

from prometheus_client.parser import text_string_to_metric_families

from scalix_callbacks.core.call import Call
from scalix_callbacks.core.caller import Caller, Role
from scalix_callbacks.core.limits import Ask
from scalix_callbacks.core.record import CallRecord, Outcome
from scalix_callbacks.core.routes import Endpoint
from scalix_callbacks.core.tiers import HOUR_S, Unit
from scalix_callbacks.metrics import Metrics
from scalix_callbacks.metrics.labels import Names
from tests.records import call_record

ASK = Ask("c", "ada", (), 80, None, None, {})
ADA = Caller("ada", "free", Role.USER)
NAMES = Names(
    tiers=("free", "pro"),
    limits=[("free", Unit.REQUESTS, HOUR_S)],
    models=("gpt-4", "gpt-5", "anthropic/*"),
    listed_as=lambda name: (
        "anthropic/*" if name.startswith("anthropic/") else name if name in ("gpt-4", "gpt-5") else None
    ),
)


def call(caller: Caller | None = ADA, model: str = "gpt-4", **fields) -> Call:
    return Call(request_id="r", caller=caller, endpoint=Endpoint.CHAT, ask=ASK, model=model, **fields)


def record(outcome: Outcome = Outcome.OK, **fields) -> CallRecord:
    told = {
        "model_requested": "gpt-4",
        "model_used": None,
        "prompt_tokens": 100,
        "completion_tokens": 5,
        "provider_cost_nano_usd": None,
        "price_nano_usd": None,
        "duration_ms": 1_500,
    }
    return call_record(**{**told, "outcome": outcome, **fields})


def read(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Name and label values, by the labels' names → value, of what is not 0."""
    families = text_string_to_metric_families(metrics.registry.exposition().decode())
    samples = (sample for family in families for sample in family.samples)
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for sample in samples
        if sample.value and not sample.name.endswith("_created")
    }


def lines(metrics: Metrics) -> int:
    return len(metrics.registry.exposition().splitlines())
