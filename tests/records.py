"""One record of a call for the tests: whole, of an answer that came at noon."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from scalix_callbacks.core.record import CallRecord, Outcome
from scalix_callbacks.core.routes import Endpoint

NOON = datetime(2030, 1, 31, 12, 0, tzinfo=UTC)

_WHOLE = CallRecord(
    call_id="c1",
    request_id="r1",
    client_request_id=None,
    at=NOON,
    user_id="ada",
    tier="pro",
    endpoint=Endpoint.CHAT,
    model_requested="gpt-4.1",
    model_used="gpt-4.1",
    provider="openai",
    prompt_tokens=12,
    completion_tokens=34,
    cached_tokens=None,
    reasoning_tokens=None,
    provider_cost_nano_usd=1_000,
    price_nano_usd=2_000,
    requests_counted=1,
    outcome=Outcome.OK,
    error_category=None,
    duration_ms=900,
    time_to_first_token_ms=None,
    attempt=1,
    stream=False,
    estimated=False,
)


def call_record(**changes: Any) -> CallRecord:
    """That record, but for what is named."""
    return replace(_WHOLE, **changes)
