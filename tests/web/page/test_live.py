"""What the page takes from the metrics."""

from scalix_callbacks.web.page.live import live_figures

EXPOSITION = b"""# HELP scalix_limits_refused_total Calls that a limit refused.
# TYPE scalix_limits_refused_total counter
scalix_limits_refused_total{user_type="free",unit="requests",window_s="3600"} 3.0
scalix_limits_refused_total{user_type="free",unit="tokens",window_s="86400"} 7.0
scalix_limits_refused_total{user_type="pro",unit="tokens",window_s="86400"} 0.0
# HELP scalix_shadow_refusals_total Calls that were admitted and that a limit in shadow would have refused.
# TYPE scalix_shadow_refusals_total counter
scalix_shadow_refusals_total{user_type="free",unit="requests",window_s="86400"} 4.0
# HELP scalix_errors_by_model_total The same, by who asked and the model that was asked for.
# TYPE scalix_errors_by_model_total counter
scalix_errors_by_model_total{error_type="INVALID_API_KEY",user_type="unknown",model="none"} 6.0
scalix_errors_by_model_total{error_type="MODEL_NOT_IN_TIER",user_type="free",model="gpt-4"} 3.0
scalix_errors_by_model_total{error_type="MODEL_NOT_IN_TIER",user_type="free",model="gpt-5"} 5.0
scalix_errors_by_model_total{error_type="OVERLOADED",user_type="free",model="gpt-5"} 0.0
scalix_errors_by_model_total{error_type="RATE_LIMIT_EXCEEDED",user_type="free",model="gpt-5"} 10.0
scalix_errors_by_model_total{error_type="PROVIDER_ERROR",user_type="free",model="gpt-5"} 10.0
# HELP scalix_calls_waiting Calls that wait for their turn.
# TYPE scalix_calls_waiting gauge
scalix_calls_waiting{user_type="free"} 3.0
scalix_calls_waiting{user_type="pro"} 1.0
# HELP scalix_cache_total Calls that the answer cache may answer, and whether it did.
# TYPE scalix_cache_total counter
scalix_cache_total{result="hit"} 2.0
scalix_cache_total{result="miss"} 5.0
# HELP scalix_workers Workers that serve.
# TYPE scalix_workers gauge
scalix_workers 2.0
# HELP scalix_store_lost Workers that go on without Redis now.
# TYPE scalix_store_lost gauge
scalix_store_lost 1.0
"""


def test_refusals_by_limit_the_most_frequent_first() -> None:
    """And the workers, the lost stores, the cache's hits."""
    told = live_figures(EXPOSITION)

    assert [("free", "tokens", "86400", 7), ("free", "requests", "3600", 3)] == [
        tuple(each.values()) for each in told["refusals"]
    ]
    assert [("free", "requests", "86400", 4)] == [tuple(each.values()) for each in told["shadow_refusals"]]
    # Those of limits and failures of models are told elsewhere.
    assert [("free", "MODEL_NOT_IN_TIER", 8), ("unknown", "INVALID_API_KEY", 6)] == [
        tuple(each.values()) for each in told["other_refusals"]
    ]
    assert 4 == told["calls_waiting"]
    assert (2, 1, {"hits": 2, "misses": 5}) == (told["workers"], told["workers_without_store"], told["cache"])


def test_nothing_counted_yet() -> None:
    """A gateway that has just started."""
    assert {
        "workers": None,
        "workers_without_store": 0,
        "calls_waiting": 0,
        "cache": {"hits": 0, "misses": 0},
        "refusals": [],
        "shadow_refusals": [],
        "other_refusals": [],
    } == live_figures(b"")
