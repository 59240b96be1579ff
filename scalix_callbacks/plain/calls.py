"""The record of a call that a script made itself."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import uuid4

from scalix_callbacks.core.errors import ErrorCategory
from scalix_callbacks.core.money import NANO
from scalix_callbacks.core.record import CallRecord, Outcome
from scalix_callbacks.core.routes import Endpoint
from scalix_callbacks.core.usage import UNKNOWN, Usage, parse_usage
from scalix_callbacks.ledger.account_rules import check_account_id

MAX_MODEL = 256
MAX_USD = 1_000_000


def usage_of(usage: object) -> Usage:
    """Args: usage: a mapping or LiteLLM's object, of `prompt_tokens` and `completion_tokens` or their like.

    Raises:
        ValueError: it reports neither.
    """
    dump = getattr(usage, "model_dump", None)
    parsed = parse_usage(dump() if callable(dump) else usage)
    if parsed is None:
        raise ValueError('usage tells no tokens: give {"prompt_tokens": 12, "completion_tokens": 34}.')
    return parsed


def nano_usd_of(usd: object) -> int:
    """Raises ValueError: no amount from 0 to a million USD."""
    try:
        amount = Decimal(str(usd))
    except InvalidOperation:
        amount = Decimal("NaN")
    if not (amount.is_finite() and 0 <= amount <= MAX_USD):
        raise ValueError(f"A cost is an amount of USD from 0 to {MAX_USD:,}.")
    return int((amount * NANO).to_integral_value())


def call_record(
    user_id: str,
    model: str,
    metadata: Mapping[str, Any] | None,
    *,
    at: datetime,
    tier: str,
    usage: Usage = UNKNOWN,
    outcome: Outcome = Outcome.OK,
    category: ErrorCategory | None = None,
    price_nano_usd: int | None = None,
    is_request: bool = True,
) -> CallRecord:
    """What of `metadata` a record has a place for is taken; the rest is left out, for it might be a prompt.

    Args:
        metadata: `request_id`, `endpoint`, `model_used`, `provider`, `duration_ms`, `stream`, `price_usd`.

    Raises:
        ValueError: the account or the model cannot be one.
    """
    check_account_id(user_id)
    if not (isinstance(model, str) and 1 <= len(model) <= MAX_MODEL and model.isprintable()):
        raise ValueError(f"A model is a name of 1 to {MAX_MODEL} printable characters.")
    about = metadata or {}
    call_id = uuid4().hex
    if price_nano_usd is None and about.get("price_usd") is not None:
        price_nano_usd = nano_usd_of(about["price_usd"])
    duration_ms = about.get("duration_ms")
    return CallRecord(
        call_id=call_id,
        request_id=_text(about, "request_id", 64) or call_id,
        client_request_id=None,
        at=at,
        user_id=user_id,
        tier=tier,
        endpoint=_endpoint(about.get("endpoint")),
        model_requested=model,
        model_used=(_text(about, "model_used", MAX_MODEL) or model) if outcome is Outcome.OK else None,
        provider=_text(about, "provider", MAX_MODEL),
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        cached_tokens=usage.cached_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        provider_cost_nano_usd=None,
        price_nano_usd=price_nano_usd,
        requests_counted=int(is_request),
        outcome=outcome,
        error_category=category,
        duration_ms=duration_ms if type(duration_ms) is int and 0 <= duration_ms < 2**40 else None,
        time_to_first_token_ms=None,
        attempt=1,
        stream=about.get("stream") is True,
        estimated=False,
    )


def _text(about: Mapping[str, Any], name: str, length: int) -> str | None:
    value = about.get(name)
    return value if isinstance(value, str) and 1 <= len(value) <= length and value.isprintable() else None


def _endpoint(value: object) -> Endpoint:
    return Endpoint(value) if isinstance(value, str) and value in {*Endpoint} else Endpoint.CHAT
