"""How a trace grows, and what is told of it."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from scalix_callbacks.core.call import Call
from scalix_callbacks.core.call_told import (
    denied_about,
    line_object,
    pseudonym,
    told_of,
    trace_object,
    went_well,
)
from scalix_callbacks.core.caller import OPERATOR, Caller, Role
from scalix_callbacks.core.claims import Sender
from scalix_callbacks.core.limits import Admitted, Ask, Counter, Denied, Standing
from scalix_callbacks.core.routes import Endpoint
from scalix_callbacks.core.tiers import Unit
from scalix_callbacks.core.trace import MAX_STEPS, MAX_TEXT, Step, Trace

NOON = 1_895_918_400.0
HOUR = Counter(Unit.REQUESTS, 3_600, 10)
SPENT = Counter(Unit.USD, 86_400, 2_000_000_000)
OPEN = Counter(Unit.TOKENS, 86_400, None)
RECORD = {
    "at": "2030-01-29T12:00:00Z",
    "outcome": "ok",
    "error_category": None,
    "requests_counted": 1,
    "model_used": "free-pro",
    "provider": "openai",
    "prompt_tokens": 3,
    "completion_tokens": 5,
    "cached_tokens": None,
    "provider_cost_usd": None,
    "price_usd": "0.000000",
    "time_to_first_token_ms": 7,
    "attempt": 1,
    "estimated": False,
}


class Ticks:
    """A clock that goes on by a millisecond each time it is read."""

    def __init__(self) -> None:
        self.times: Iterator[int] = iter(range(1_000))

    def __call__(self) -> float:
        return next(self.times) / 1_000


def traced(**fields: object) -> Call:
    call = Call(request_id="r" * 32, started_at_s=NOON, **fields)  # type: ignore[arg-type]  # whatever the test says
    call.trace = Trace(elapsed=Ticks(), route="/v1/chat/completions")
    return call


def admitted(**fields: object) -> Call:
    call = traced(
        caller=Caller(id="ada", tier="free", role=Role.USER),
        endpoint=Endpoint.CHAT,
        model="free-flash",
        client_request_id="mine",
        sender=Sender("desktop-app", "1.2", "s1"),
        **fields,
    )
    call.ask = Ask("c" * 32, "ada", (HOUR, SPENT, OPEN), 12, 5, None, {})
    held = (Standing(HOUR, NOON, 3, 1), Standing(SPENT, NOON, 250_000_000, 1_000), Standing(OPEN, NOON, 9, 9))
    call.admission = Admitted(5, held, NOON)
    return call


def steps(call: Call) -> list[dict[str, object]]:
    return trace_object(call, told_of(call))["steps"]


def test_a_step_has_its_time_and_what_is_said_of_it() -> None:
    """In milliseconds since the request was received; what is not known is left out."""
    call = traced()
    call.note(Step.BODY_READ, {"bytes": 10, "odd": None})

    assert [{"step": "received", "at_ms": 0.0}, {"step": "body_read", "at_ms": 1.0, "bytes": 10}] == steps(
        call
    )


def test_a_trace_has_a_bound_and_keeps_its_end() -> None:
    """A loop somewhere must not fill memory; how it ended is known all the same."""
    call = traced()
    for _ in range(MAX_STEPS):
        call.note(Step.SENT, {"model": "m" * 1_000})
    call.note(Step.SETTLED)
    told = trace_object(call, told_of(call))

    assert (1, MAX_STEPS + 1) == (told["left_out"], len(told["steps"]))
    assert MAX_TEXT == len(told["steps"][1]["model"])
    assert "settled" == told["steps"][-1]["step"]


def test_an_answer_from_the_cache_asked_no_provider() -> None:
    """LiteLLM announces a provider's call before it looks into the cache."""
    call = traced()
    call.note(Step.SENT)
    call.note(Step.CACHE_HIT, {"model": "free-pro"})

    assert ["received", "cache_hit"] == [step["step"] for step in steps(call)]


def test_an_admission_is_told_with_its_limits() -> None:
    """What was settled, what is held, what is allowed; money as money. What is not limited is not told."""
    call = admitted()
    call.note(Step.ADMITTED)

    assert {
        "step": "admitted",
        "at_ms": 1.0,
        "prompt_tokens": 12,
        "output_tokens": 5,
        "numbers": "requests:3600 3+1/10; usd:86400 0.250000+0.000001/2.000000",
    } == steps(call)[1]


IN_SHADOW = Counter(Unit.TOKENS, 86_400, None, shadow=15)


def test_what_a_limit_in_shadow_would_have_refused_is_told() -> None:
    """In the line and the trace by its name, and where the call was admitted with what it goes by."""
    call = admitted()
    held = (Standing(HOUR, NOON, 3, 1), Standing(IN_SHADOW, NOON, 9, 17))
    call.admission = Admitted(5, held, NOON, shadowed=(IN_SHADOW,))
    call.note(Step.ADMITTED)
    told = told_of(call)

    assert "tokens:86400" == told["shadow_refused_by"] == line_object(told)["shadow_refused_by"]
    assert "tokens:86400 9+17/15" == steps(call)[1]["shadow"]
    assert "requests:3600 3+1/10" == steps(call)[1]["numbers"]


def test_a_limit_in_shadow_that_would_have_let_it_in_is_not() -> None:
    """Nor is one that nobody asked, while the store was lost."""
    let_in, unasked = admitted(), admitted()
    held = (Standing(IN_SHADOW, NOON, 9, 1),)
    let_in.admission = Admitted(5, held, NOON)
    unasked.admission = Admitted(5, held, NOON, shadowed=(IN_SHADOW,))
    unasked.local_ask = unasked.ask
    for call in (let_in, unasked):
        call.note(Step.ADMITTED)

        assert "shadow_refused_by" not in told_of(call)
        assert "shadow" not in steps(call)[1]


def test_a_refusal_is_told_with_the_limit_that_refused() -> None:
    """The operator sees why, without looking at the counters of then."""
    denied = Denied(HOUR, (Standing(HOUR, NOON, 9, 1),), NOON, 12.3456)

    assert {
        "limit": "requests:3600",
        "numbers": "requests:3600 9+1/10",
        "because": None,
        "retry_after_s": 12.346,
    } == denied_about(denied)
    assert "held" == denied_about(replace(denied, is_held=True))["because"]


def test_a_line_names_its_user_by_a_pseudonym() -> None:
    """Logs cannot be erased with a user; the client's own id of the request stays out as well."""
    call = admitted()
    call.record = {**RECORD}
    call.trace.status = 200  # type: ignore[union-attr]  # just made
    line = line_object(told_of(call))

    assert {
        "at": "2030-01-29T12:00:00Z",
        "request_id": "r" * 32,
        "call_id": "c" * 32,
        "tier": "free",
        "route": "/v1/chat/completions",
        "endpoint": "chat",
        "model_requested": "free-flash",
        "outcome": "ok",
        "status": 200,
        "duration_ms": 0,
        "client": "desktop-app",
        "version": "1.2",
        "session": "s1",
        "model_used": "free-pro",
        "provider": "openai",
        "prompt_tokens": 3,
        "completion_tokens": 5,
        "price_usd": "0.000000",
        "time_to_first_token_ms": 7,
        "attempt": 1,
        "estimated": False,
        "cached": False,
        "user": pseudonym("ada"),
    } == line
    assert "operator" == line_object(told_of(traced(caller=OPERATOR)))["user"]


@pytest.mark.parametrize(
    ("outcome", "status", "category", "went"),
    [
        ("ok", 200, None, True),
        ("cached", 200, None, True),
        ("aborted", 200, None, False),
        ("ok", 200, "PROVIDER_ERROR", False),
        ("error", 502, "NETWORK_ERROR", False),
        ("ok", None, None, False),
    ],
)
def test_what_went_well(outcome: str, status: int | None, category: str | None, went: bool) -> None:
    """Of these a share may do; of all others every trace is kept."""
    call = admitted()
    call.record = {**RECORD, "outcome": outcome}
    assert call.trace is not None
    call.trace.status, call.trace.category = status, category

    assert went is went_well(call)


def test_what_a_fallback_answered_did_not_quite_go_well() -> None:
    """Its trace says which provider failed."""
    call = admitted()
    call.note(Step.FAILED)
    assert call.trace is not None
    call.trace.status = 200

    assert not went_well(call)
