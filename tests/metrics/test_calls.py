"""What is counted about calls: how limits took them, and how they ended."""

from dataclasses import replace

from scalix_callbacks.core.caching import CachePlan
from scalix_callbacks.core.errors import ErrorCategory
from scalix_callbacks.core.limits import Counter
from scalix_callbacks.core.record import Outcome
from scalix_callbacks.core.tiers import HOUR_S, Unit
from scalix_callbacks.core.usage import Usage
from scalix_callbacks.metrics import Metrics
from tests.metrics.support import ASK, NAMES, call, read, record


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
