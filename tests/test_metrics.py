"""What is counted about calls, as Prometheus' own parser reads it."""

import asyncio
import subprocess
import sys
from dataclasses import replace

from prometheus_client.parser import text_string_to_metric_families

from scalix_callbacks.core.caching import CachePlan
from scalix_callbacks.core.call import Call
from scalix_callbacks.core.caller import OPERATOR, Caller, Role
from scalix_callbacks.core.errors import ErrorCategory
from scalix_callbacks.core.limits import Ask, Counter
from scalix_callbacks.core.record import CallRecord, Outcome
from scalix_callbacks.core.routes import Endpoint
from scalix_callbacks.core.tiers import HOUR_S, Unit
from scalix_callbacks.core.usage import Usage
from scalix_callbacks.metrics import Metrics
from scalix_callbacks.metrics.labels import Names
from scalix_callbacks.metrics.worker import State
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


def test_requests_are_counted_by_tier_and_endpoint():
    """Also those that were refused; whose key is not valid is nobody."""
    metrics = Metrics(None, NAMES)
    metrics.requests.answered(call(), Endpoint.CHAT, None, 0.3)
    metrics.requests.answered(call(), Endpoint.CHAT, ErrorCategory.RATE_LIMIT_EXCEEDED, 0.01)
    metrics.requests.answered(call(OPERATOR), Endpoint.CHAT, None, 0.3)
    metrics.requests.answered(call(None), Endpoint.MESSAGES, ErrorCategory.INVALID_API_KEY, 0.01)
    metrics.requests.answered(call(None), None, ErrorCategory.NOT_FOUND, 0.01)
    found = read(metrics)

    assert 2 == found["scalix_requests_total", "chat", "free"]
    assert 1 == found["scalix_requests_total", "chat", "operator"]
    assert 1 == found["scalix_requests_total", "messages", "unknown"]
    assert 4 == sum(value for key, value in found.items() if key[0] == "scalix_requests_total")
    assert (
        1 == found["scalix_errors_total", "RATE_LIMIT_EXCEEDED"] == found["scalix_errors_total", "NOT_FOUND"]
    )
    assert 1 == found["scalix_response_time_seconds_bucket", "chat", "0.05"]
    assert 3 == found["scalix_response_time_seconds_bucket", "chat", "0.5"]
    assert 3 == found["scalix_response_time_seconds_count", "chat"]
    assert abs(0.61 - found["scalix_response_time_seconds_sum", "chat"]) < 1e-9


def test_waiting_ends_with_the_first_piece_of_a_stream():
    """Or the whole of another answer; failures, and who left soon, say nothing of how long answers take."""
    metrics = Metrics(None, NAMES)
    stream = call(is_stream=True, started_at_s=100.0, first_token_at_s=100.4)
    for each, error, took_s in (
        (stream, None, 60.0),
        (stream, ErrorCategory.CLIENT_CLOSED, 60.0),
        (call(), None, 3.0),
        (call(), ErrorCategory.RATE_LIMIT_EXCEEDED, 0.01),
        (call(), ErrorCategory.PROVIDER_ERROR, 40.0),
        (call(is_stream=True), ErrorCategory.CLIENT_CLOSED, 9.0),
        (call(is_stream=True), ErrorCategory.CLIENT_CLOSED, 15.0),
    ):
        metrics.requests.answered(each, Endpoint.CHAT, error, took_s)
    found = read(metrics)

    assert 4 == found["scalix_wait_seconds_count", "chat"]
    assert abs(0.4 + 0.4 + 3.0 + 15.0 - found["scalix_wait_seconds_sum", "chat"]) < 1e-6
    assert 7 == found["scalix_response_time_seconds_count", "chat"]


def test_open_requests_are_counted():
    """As many as are open now."""
    metrics = Metrics(None)
    metrics.requests.opened()
    metrics.requests.opened()
    metrics.requests.closed()

    assert 1 == read(metrics)[("scalix_active_connections",)]


def test_ended_calls_are_counted_by_outcome_tokens_and_money():
    """The user's price and the provider's cost are two numbers."""
    metrics = Metrics(None, NAMES)
    metrics.calls.ended(
        call(), record(price_nano_usd=3_000_000, provider_cost_nano_usd=1_000_000), Usage(100, 5)
    )
    metrics.calls.ended(call(local_ask=ASK), record(Outcome.ABORTED, cached_tokens=40), Usage(100, 5))
    found = read(metrics)

    assert (1, 1) == (found["scalix_outcomes_total", "ok"], found["scalix_outcomes_total", "aborted"])
    assert 200 == found["scalix_tokens_total", "prompt", "free"]
    assert 10 == found["scalix_tokens_total", "completion", "free"]
    assert 40 == found["scalix_tokens_total", "cached", "free"]
    assert 0.003 == found["scalix_price_usd_total", "free"]
    assert 0.001 == found["scalix_provider_cost_usd_total", "gpt-4"]
    assert 1 == found["scalix_requests_without_store_total", "free"]
    assert 1 == found["scalix_model_calls_total", "gpt-4", "ok"]
    assert 1 == found["scalix_model_response_seconds_bucket", "2.0", "gpt-4"]


def test_a_fallback_counts_against_the_model_that_failed():
    """And for the one that answered; a user's mistake counts against none."""
    metrics = Metrics(None, NAMES)
    metrics.calls.ended(call(), record(model_used="gpt-5"), Usage(100, 5))
    metrics.calls.ended(
        call(), record(Outcome.ERROR, error_category=ErrorCategory.PROVIDER_TIMEOUT), Usage(0, 0)
    )
    metrics.calls.ended(
        call(), record(Outcome.ERROR, error_category=ErrorCategory.CONTENT_POLICY), Usage(0, 0)
    )
    found = read(metrics)

    assert 2 == found["scalix_model_calls_total", "gpt-4", "failed"]
    assert 1 == found["scalix_model_calls_total", "gpt-5", "ok"]
    assert ("scalix_model_calls_total", "gpt-4", "ok") not in found


def test_time_to_the_first_token_is_that_of_streams():
    """A whole answer has none, nor has one from the cache."""
    metrics = Metrics(None, NAMES)
    metrics.calls.ended(call(), record(stream=True, time_to_first_token_ms=400), Usage(1, 1))
    metrics.calls.ended(call(), record(time_to_first_token_ms=400), Usage(1, 1))
    metrics.calls.ended(call(), record(Outcome.CACHED, stream=True, time_to_first_token_ms=1), Usage(1, 1))

    assert 1 == read(metrics)["scalix_time_to_first_token_seconds_count", "gpt-4"]


def test_refusals_name_the_limit():
    """An account's own window, which may be any, is `other`."""
    metrics = Metrics(None, NAMES)
    metrics.calls.denied(call(), Counter(Unit.REQUESTS, HOUR_S, 10))
    metrics.calls.denied(call(), Counter(Unit.REQUESTS, 1_234, 10))
    found = read(metrics)

    assert 1 == found["scalix_limits_refused_total", "requests", "free", "3600"]
    assert 1 == found["scalix_limits_refused_total", "requests", "free", "other"]


def test_what_a_limit_in_shadow_would_have_refused_is_counted_apart():
    """By the limits that the tiers have in shadow; an account's own is `other`."""
    metrics = Metrics(None, replace(NAMES, shadow_limits=[("free", Unit.TOKENS, HOUR_S)]))
    metrics.calls.shadowed(call(), Counter(Unit.TOKENS, HOUR_S, None, 10))
    metrics.calls.shadowed(call(), Counter(Unit.REQUESTS, HOUR_S, None, 10))
    found = read(metrics)

    assert 1 == found["scalix_shadow_refusals_total", "tokens", "free", "3600"]
    assert 1 == found["scalix_shadow_refusals_total", "requests", "free", "other"]
    assert ("scalix_limits_refused_total", "tokens", "free", "3600") not in found


def test_the_cache_is_counted_where_it_may_answer():
    """Hits and misses; a call that is never cached is neither."""
    metrics = Metrics(None)
    for is_hit in (True, True, False):
        plan = CachePlan("own:ada", "ada", "r", is_hit=is_hit)
        metrics.calls.ended(call(cache=plan), record(), Usage(0, 0))
    metrics.calls.ended(call(), record(), Usage(1, 1))
    found = read(metrics)

    assert (2, 1) == (found["scalix_cache_total", "hit"], found["scalix_cache_total", "miss"])


def test_estimates_are_compared_with_what_providers_report():
    """80 guessed where 100 were used: 0.8. What was estimated itself is compared with nothing."""
    metrics = Metrics(None)
    metrics.calls.ended(call(), record(), Usage(100, 5))
    metrics.calls.ended(call(), record(Outcome.ABORTED), Usage(80, 5, is_estimated=True))
    metrics.calls.ended(call(), record(Outcome.ERROR), Usage(None, None))
    found = read(metrics)

    assert 1 == found["scalix_prompt_estimate_ratio_count", "chat"]
    assert 0.8 == found["scalix_prompt_estimate_ratio_sum", "chat"]


def test_the_state_of_a_worker_shows():
    """What is not known keeps what it was; a model nobody knows anything of is up."""
    metrics = Metrics(None, NAMES)
    metrics.worker.state(State(pending=7, models_up={"gpt-4": False}, resting={"gpt-4": 2}))
    metrics.worker.state(State(is_store_lost=True, redis_ping_s=0.25))
    found = read(metrics)

    assert (1, 7) == (found[("scalix_store_lost",)], found[("scalix_outbox_pending",)])
    assert 0.25 == found[("scalix_redis_ping_seconds",)]
    assert ("scalix_model_up", "gpt-4") not in found
    assert 1 == found["scalix_model_up", "gpt-5"] == found["scalix_model_up", "anthropic/*"]
    assert 2 == found["scalix_model_resting_deployments", "gpt-4"]


def test_a_worker_that_ended_well_says_so():
    """One that died never does."""
    metrics = Metrics(None)
    metrics.worker.started()
    before = read(metrics)
    metrics.worker.stopped()
    after = read(metrics)

    assert (1, 1) == (before[("scalix_workers",)], before[("scalix_worker_starts_total",)])
    assert 1 == after[("scalix_worker_stops_total",)]
    assert ("scalix_workers",) not in after


def test_labels_do_not_grow_with_what_comes():
    """A thousand users, models, tiers, windows and providers make no more lines than one of each."""
    metrics = Metrics(None, NAMES)

    def all_sorts(i: int) -> None:
        someone = Caller(f"user-{i}", "free" if i % 2 else f"tier-{i}", Role.USER)
        asked = call(someone, model=f"anthropic/claude-{i}" if i % 3 else f"none-{i}")
        metrics.requests.answered(asked, Endpoint.CHAT, ErrorCategory.INTERNAL, 0.1)
        metrics.calls.denied(asked, Counter(Unit.TOKENS, 60 + i, 10))
        used = record(
            model_used=f"used-{i}",
            provider=f"p-{i}",
            stream=True,
            time_to_first_token_ms=i,
            price_nano_usd=1,
            provider_cost_nano_usd=1,
        )
        metrics.calls.ended(asked, used, Usage(1, 1))
        metrics.calls.budget_warned(asked)
        metrics.worker.state(State(models_up={f"m-{i}": False}, resting={f"m-{i}": 1}))

    for i in range(6):
        all_sorts(i)
    before = lines(metrics)
    for i in range(1_000):
        all_sorts(i)
    text = metrics.registry.exposition().decode()

    assert before == lines(metrics)
    assert not [word for word in ("user-", "none-", "claude", "tier-", "used-", "m-1") if word in text]


def test_every_category_and_tier_shows_from_the_start():
    """A rate over a counter that was not there before would miss its first step."""
    text = Metrics(None, NAMES).registry.exposition().decode()

    assert all(f'scalix_errors_total{{error_type="{category}"}} 0.0' in text for category in ErrorCategory)
    assert 'scalix_requests_total{endpoint="chat",user_type="pro"} 0.0' in text


async def test_what_ended_before_it_was_read_is_in_it():
    """Also where it is written only now and then."""
    metrics = Metrics(None)
    metrics.worker.alerted("sent")
    told = (await metrics.registry.page()).decode()
    metrics.worker.alerted("sent")
    await asyncio.sleep(0)

    assert 'scalix_alerts_total{result="sent"} 1.0' in told


WORKER = """
import os, sys
from scalix_callbacks.metrics import Metrics
from scalix_callbacks.core.call import Call
from scalix_callbacks.core.routes import Endpoint
metrics = Metrics(os.environ["PROMETHEUS_MULTIPROC_DIR"])
metrics.worker.started()
metrics.requests.opened()
for _ in range(int(sys.argv[1])):
    metrics.requests.answered(Call(request_id="r"), Endpoint.CHAT, None, 0.3)
if sys.argv[2] == "read":
    sys.stdout.write(metrics.registry.exposition().decode())
else:
    metrics.registry.write()
"""


def test_what_dead_workers_counted_stays_and_what_they_were_goes(tmp_path):
    """Twenty workers came and died: their calls are summed up, their open requests are not; and their files
    do not pile up."""

    def worker(count: int, then: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", WORKER, str(count), then],
            env={"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    for count in range(1, 21):
        worker(count, "die")
    told = worker(100, "read")
    again = worker(0, "read")

    for text in (told, again):
        assert 'scalix_requests_total{endpoint="chat",user_type="unknown"} 310.0' in text
        assert 'scalix_response_time_seconds_count{endpoint="chat"} 310.0' in text
        assert "\nscalix_workers 1.0\n" in text
        assert "\nscalix_active_connections 1.0\n" in text
    assert "scalix_worker_starts_total 22.0" in again
    assert len(list(tmp_path.glob("*.db"))) < 12


def test_errors_are_counted_by_category_tier_and_model():
    """Also of callers whom nobody could identify; the caller's name is nowhere."""
    metrics = Metrics(None, NAMES)
    for caller, asked, error in (
        (ADA, "anthropic/claude", ErrorCategory.PROVIDER_ERROR),
        (OPERATOR, "nonsense", ErrorCategory.INVALID_REQUEST),
        (None, None, ErrorCategory.INVALID_API_KEY),
    ):
        metrics.requests.answered(call(caller, asked_model=asked), Endpoint.CHAT, error, 0.1)
    found = read(metrics)

    for labels in (
        ("PROVIDER_ERROR", "anthropic/*", "free"),
        ("INVALID_REQUEST", "other", "operator"),
        ("INVALID_API_KEY", "none", "unknown"),
    ):
        assert 1 == found["scalix_errors_by_model_total", *labels]
    assert "ada" not in metrics.registry.exposition().decode()
