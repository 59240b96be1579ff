"""What is counted about requests, as Prometheus' own parser reads it."""

from scalix_callbacks.core.caller import OPERATOR
from scalix_callbacks.core.errors import ErrorCategory
from scalix_callbacks.core.routes import Endpoint
from scalix_callbacks.metrics import Metrics
from tests.metrics.support import ADA, NAMES, call, read


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
