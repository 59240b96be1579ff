"""The record of a call that was admitted and has ended."""

from datetime import UTC, datetime

from scalix_callbacks.core.call import Call
from scalix_callbacks.core.errors import ErrorCategory
from scalix_callbacks.core.record import CallRecord, Outcome, windows_of
from scalix_callbacks.core.usage import Usage


def record_of(
    call: Call,
    outcome: Outcome,
    usage: Usage,
    *,
    is_counted: bool,
    category: ErrorCategory | None,
    model_used: str | None,
    provider: str | None,
    provider_cost_nano_usd: int | None,
    now_s: float,
) -> CallRecord:
    """What the ledger keeps of an admitted call.

    Args:
        usage: of the provider, or estimated.
        is_counted: whether it counts as a request, as far as is known.
        provider_cost_nano_usd: None: not known. What the user pays stands in the call.
        now_s: when it ended, Unix time.
    """
    assert call.caller and call.endpoint and call.ask and call.admission, "it was not admitted"
    return CallRecord(
        call_id=call.ask.call_id,
        request_id=call.request_id,
        client_request_id=call.client_request_id,
        at=datetime.fromtimestamp(call.started_at_s, UTC),
        user_id=call.caller.id,
        tier=call.caller.tier,
        endpoint=call.endpoint,
        model_requested=call.model_requested,
        model_used=model_used,
        provider=provider,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        cached_tokens=usage.cached_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        provider_cost_nano_usd=provider_cost_nano_usd,
        price_nano_usd=call.price_nano_usd,
        requests_counted=int(is_counted),
        outcome=outcome,
        error_category=category,
        duration_ms=_ms_since(call.started_at_s, now_s),
        time_to_first_token_ms=_ms_since(call.started_at_s, call.first_token_at_s),
        attempt=call.ask.attempt.number if call.ask.attempt else 1,
        stream=call.is_stream,
        estimated=usage.is_estimated,
        windows=windows_of(call.admission.standings),
    )


def _ms_since(start_s: float, end_s: float | None) -> int | None:
    return None if end_s is None else max(round((end_s - start_s) * 1_000), 0)
