"""What is told of a request once it is over: its line in the log, and its trace."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from scalix_callbacks.core.budget import would_refuse
from scalix_callbacks.core.call import Call
from scalix_callbacks.core.caller import OPERATOR_ID
from scalix_callbacks.core.limits import Admitted, Counter, Denied, Standing
from scalix_callbacks.core.moments import iso
from scalix_callbacks.core.money import usd_text
from scalix_callbacks.core.tiers import Unit
from scalix_callbacks.core.trace import Step, bounded

_USER_LETTERS = 24
_NOT_IN_LINE = frozenset({"user_id", "client_request_id"})
_OF_RECORD = (
    "model_used",
    "provider",
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "provider_cost_usd",
    "price_usd",
    "time_to_first_token_ms",
    "attempt",
    "estimated",
)


def told_of(call: Call) -> dict[str, Any]:
    """What is known of a request, in JSON values; what is not known is left out."""
    trace, record, caller = call.trace, call.record, call.caller
    assert trace is not None
    told: dict[str, Any] = {
        "at": iso(datetime.fromtimestamp(call.started_at_s, UTC)) if record is None else record["at"],
        "request_id": call.request_id,
        "call_id": None if call.ask is None else call.ask.call_id,
        "client_request_id": call.client_request_id,
        "user_id": None if caller is None else caller.id,
        "tier": None if caller is None else caller.tier,
        "route": trace.route,
        "endpoint": None if call.endpoint is None else call.endpoint.value,
        "model_requested": call.model_requested or call.asked_model,
        "outcome": _outcome(call),
        "status": trace.status,
        "category": trace.category,
        "duration_ms": max(round(trace.steps[-1][0] * 1_000), 0),
        "stream": call.is_stream or None,
        "shadow_refused_by": ", ".join(counter.id for counter in _in_shadow(call)) or None,
        "simulated": None if call.simulated is None else call.simulated.value,
        "client": call.sender.client,
        "version": call.sender.version,
        "session": call.sender.session,
    }
    if record is not None:
        for name in _OF_RECORD:
            told[name] = record[name]
        told["category"] = trace.category or record["error_category"]
        told["cached"] = record["outcome"] == "cached"
    return bounded(told)


def line_object(told: Mapping[str, Any]) -> dict[str, Any]:
    """One line of the log, of what `told_of` says.

    The user stands there under a pseudonym: a line cannot be erased with its user.
    """
    line = {name: value for name, value in told.items() if name not in _NOT_IN_LINE}
    if (user_id := told.get("user_id")) is not None:
        line["user"] = user_id if user_id == OPERATOR_ID else pseudonym(user_id)
    return line


def trace_object(call: Call, told: Mapping[str, Any]) -> dict[str, Any]:
    """All that is known of a request, and its steps.

    Args:
        told: what `told_of` says.
    """
    assert call.trace is not None
    steps = call.trace.to_json()
    for step in steps:
        if about := _about(call, step["step"]):
            step |= bounded(about)
    left_out = {"left_out": call.trace.left_out} if call.trace.left_out else {}
    return {**told, "steps": steps, **left_out}


def pseudonym(user_id: str) -> str:
    """The user in the log: as `printf %s ID | sha256sum | cut -c1-24` has it."""
    return sha256(user_id.encode("utf-8", "surrogatepass")).hexdigest()[:_USER_LETTERS]


def went_well(call: Call) -> bool:
    """Neither refused, nor failed, nor cut; False for what a fallback answered, too: its trace is of use."""
    trace, record = call.trace, call.record
    assert trace is not None
    if trace.category is not None or trace.status is None or trace.status >= 400 or trace.has(Step.FAILED):
        return False
    return record is None or record["outcome"] in ("ok", "cached", "replayed")


def denied_about(denied: Denied) -> dict[str, Any]:
    """Which limit refused, and the numbers it went by."""
    standing = next((each for each in denied.standings if each.counter == denied.by), None)
    because = "too_large" if denied.is_too_large else "held" if denied.is_held else None
    return {
        "limit": denied.by.id,
        "numbers": None if standing is None else _numbers(standing),
        "because": because,
        "retry_after_s": None if denied.retry_after_s is None else round(denied.retry_after_s, 3),
    }


def _outcome(call: Call) -> str:
    """As the ledger's; `refused` for what was never admitted."""
    assert call.trace is not None
    if call.record is not None:
        return str(call.record["outcome"])
    if call.ask is not None:
        return "open"
    return "refused" if call.trace.category is not None or (call.trace.status or 500) >= 400 else "ok"


def _about(call: Call, step: str) -> Mapping[str, Any] | None:
    """What of a step stands in the call itself, and need not be written down while it goes on."""
    match step:
        case Step.IDENTIFIED if call.caller is not None:
            return {"tier": call.caller.tier or OPERATOR_ID}
        case Step.SCREENED:
            dropped = call.headers.get("x-scalix-features-dropped")
            return {"model": call.model_requested or call.asked_model, "features_dropped": dropped}
        case Step.CONTEXT_BUILT if call.engine is not None:
            return {"upstream": call.engine.is_upstream or None}
        case Step.CHOSEN if call.choice is not None:
            options = ", ".join(call.choice.fallback_options)
            return {"model": call.choice.recommended, "reason": call.choice.reason, "then": options or None}
        case Step.ADMITTED if call.admission is not None:
            return _admitted(call, call.admission)
        case Step.SETTLED if call.record is not None:
            return {"outcome": call.record["outcome"], "counted": call.record["requests_counted"]}
        case Step.ENDED if call.trace is not None:
            return {"status": call.trace.status, "category": call.trace.category}
        case _:
            return None


def _admitted(call: Call, admission: Admitted) -> dict[str, Any]:
    assert call.ask is not None
    limited = [each for each in admission.standings if each.counter.amount is not None]
    return {
        "prompt_tokens": call.ask.prompt_tokens,
        "output_tokens": admission.output_tokens,
        "clamped": call.headers.get("x-scalix-max-tokens-clamped"),
        "attempt": None if call.ask.attempt is None else call.ask.attempt.number,
        "without_store": True if call.local_ask is not None else None,
        "numbers": "; ".join(map(_numbers, limited)) or None,
        "shadow": _shadow_numbers(call, admission) or None,
    }


def _in_shadow(call: Call) -> tuple[Counter, ...]:
    """Whose limits in shadow would have refused this call; of what went on without the store nobody knows."""
    if call.admission is None or call.ask is None or call.local_ask is not None:
        return ()
    return would_refuse(call.admission, call.ask, call.rates)


def _shadow_numbers(call: Call, admission: Admitted) -> str:
    """As of a limit that holds, against what it would have allowed."""
    refusing = {counter.id: counter.shadow for counter in _in_shadow(call)}
    return "; ".join(
        _numbers(replace(standing, counter=replace(standing.counter, amount=refusing[standing.counter.id])))
        for standing in admission.standings
        if standing.counter.id in refusing
    )


def _numbers(standing: Standing) -> str:
    """`requests:3600 3+1/10`: settled, held, allowed."""
    show = usd_text if standing.counter.unit is Unit.USD else str
    used, held, allowed = (show(n) for n in (standing.used, standing.held, standing.counter.amount or 0))
    return f"{standing.counter.id} {used}+{held}/{allowed}"
