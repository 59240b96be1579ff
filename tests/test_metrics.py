"""What is counted about calls, as Prometheus' own parser reads it."""

from prometheus_client.parser import text_string_to_metric_families

from scalix_callbacks.core.call import Call
from scalix_callbacks.core.caller import OPERATOR, Caller, Role
from scalix_callbacks.core.limits import Ask
from scalix_callbacks.core.record import Outcome
from scalix_callbacks.core.routes import Endpoint
from scalix_callbacks.core.usage import Usage
from scalix_callbacks.metrics import Metrics

ASK = Ask("c", "ada", (), 80, None, None, {})


def call(caller: Caller, **fields) -> Call:
    return Call(request_id="r", caller=caller, endpoint=Endpoint.CHAT, ask=ASK, **fields)


def read(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Name and label values, by the labels' names → value, of what is not 0."""
    families = text_string_to_metric_families(metrics.exposition().decode())
    samples = (sample for family in families for sample in family.samples)
    return {
        (sample.name, *sample.labels.values()): sample.value
        for sample in samples
        if sample.value and not sample.name.endswith("_created")
    }


def test_calls_are_counted_by_tier_and_outcome():
    """No label names a user."""
    metrics = Metrics(None)
    ada = Caller("ada", "free", Role.USER)
    metrics.ended(call(ada), Outcome.OK, Usage(100, 5))
    metrics.ended(call(ada, local_ask=ASK), Outcome.ABORTED, Usage(100, 5, is_estimated=True))
    metrics.ended(call(OPERATOR), Outcome.OK, Usage(100, 5))
    found = read(metrics)

    assert 2 == found["scalix_requests_total", "chat", "free"]
    assert 1 == found["scalix_requests_total", "chat", "operator"]
    assert (2, 1) == (found["scalix_outcomes_total", "ok"], found["scalix_outcomes_total", "aborted"])
    assert 1 == found["scalix_requests_without_store_total", "free"]
    assert "ada" not in metrics.exposition().decode()


def test_estimates_are_compared_with_what_providers_report():
    """80 guessed where 100 were used: 0.8. What was estimated itself is compared with nothing."""
    metrics = Metrics(None)
    ada = Caller("ada", "free", Role.USER)
    metrics.ended(call(ada), Outcome.OK, Usage(100, 5))
    metrics.ended(call(ada), Outcome.ABORTED, Usage(80, 5, is_estimated=True))
    metrics.ended(call(ada), Outcome.ERROR, Usage(None, None))
    found = read(metrics)

    assert 1 == found["scalix_prompt_estimate_ratio_count", "chat"]
    assert 0.8 == found["scalix_prompt_estimate_ratio_sum", "chat"]


def test_a_lost_store_shows():
    """And how many records wait, as last known."""
    metrics = Metrics(None)
    metrics.state(is_store_lost=False, pending=7)
    metrics.state(is_store_lost=True, pending=None)
    found = read(metrics)

    assert (1, 7) == (found[("scalix_store_lost",)], found[("scalix_outbox_pending",)])
