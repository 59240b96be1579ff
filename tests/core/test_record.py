"""The account of one call: complete, exact, and the same after any way through JSON."""

from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalix_callbacks.core.errors import ErrorCategory
from scalix_callbacks.core.limits import Counter, Standing
from scalix_callbacks.core.record import CallRecord, Outcome, abandoned, memo_of, unheard, windows_of
from scalix_callbacks.core.routes import Endpoint
from scalix_callbacks.core.tiers import DAY_S, HOUR_S, Unit

NOON = datetime(2030, 1, 31, 12, 0, tzinfo=UTC)
RECORD = CallRecord(
    call_id="c-1",
    request_id="r-1",
    client_request_id="abc:attempt-2",
    at=NOON,
    user_id="anna",
    tier="pro",
    endpoint=Endpoint.CHAT,
    model_requested="scalix/auto",
    model_used="gpt-4.1",
    provider="openai",
    prompt_tokens=19,
    completion_tokens=10,
    cached_tokens=8,
    reasoning_tokens=4,
    provider_cost_nano_usd=240_500,
    price_nano_usd=None,
    requests_counted=1,
    outcome=Outcome.OK,
    error_category=None,
    duration_ms=1_234,
    time_to_first_token_ms=320,
    attempt=2,
    stream=True,
    estimated=False,
    windows={"requests:3600": 1_896_091_200_000},
)
MEMO = memo_of(
    call_id="c-1",
    request_id="r-1",
    client_request_id="abc:attempt-2",
    at=NOON,
    user_id="anna",
    tier="pro",
    endpoint=Endpoint.CHAT,
    model_requested="scalix/auto",
    prompt_tokens=21,
    attempt=2,
    stream=True,
)


def test_a_record_has_the_fields_of_the_contract_in_their_order() -> None:
    """Spec G1; money as decimal strings, unknown as null."""
    assert (
        b'{"call_id":"c-1","request_id":"r-1","client_request_id":"abc:attempt-2",'
        b'"at":"2030-01-31T12:00:00.000Z","user_id":"anna","tier":"pro","endpoint":"chat",'
        b'"model_requested":"scalix/auto","model_used":"gpt-4.1","provider":"openai","prompt_tokens":19,'
        b'"completion_tokens":10,"cached_tokens":8,"reasoning_tokens":4,"provider_cost_usd":"0.0002405",'
        b'"price_usd":null,"requests_counted":1,"outcome":"ok","error_category":null,"duration_ms":1234,'
        b'"time_to_first_token_ms":320,"attempt":2,"stream":true,"estimated":false,'
        b'"windows":{"requests:3600":1896091200000}}'
    ) == orjson.dumps(RECORD.to_json())


def test_a_record_is_never_edited() -> None:
    """Another one takes its place, if anything."""
    with pytest.raises(FrozenInstanceError):
        RECORD.tier = "free"  # type: ignore[misc]


texts = st.text(max_size=9)
counts = st.integers(0, 2**53)
records = st.builds(
    CallRecord,
    call_id=texts,
    request_id=texts,
    client_request_id=st.none() | texts,
    at=st.datetimes(timezones=st.just(UTC)),
    user_id=texts,
    tier=st.none() | texts,
    endpoint=st.sampled_from(Endpoint),
    model_requested=texts,
    model_used=st.none() | texts,
    provider=st.none() | texts,
    prompt_tokens=st.none() | counts,
    completion_tokens=st.none() | counts,
    cached_tokens=st.none() | counts,
    reasoning_tokens=st.none() | counts,
    provider_cost_nano_usd=st.none() | counts,
    price_nano_usd=st.none() | counts,
    requests_counted=st.sampled_from([0, 1]),
    outcome=st.sampled_from(Outcome),
    error_category=st.none() | st.sampled_from(ErrorCategory),
    duration_ms=st.none() | counts,
    time_to_first_token_ms=st.none() | counts,
    attempt=counts,
    stream=st.booleans(),
    estimated=st.booleans(),
    windows=st.dictionaries(texts, counts, max_size=3),
)


@given(records)
def test_a_record_comes_back_from_json_as_it_was(record: CallRecord) -> None:
    """Nothing is rounded or guessed, through real JSON."""
    assert record == CallRecord.from_json(orjson.loads(orjson.dumps(record.to_json())))


def test_what_a_later_version_adds_is_left_out() -> None:
    """Workers of two versions share an outbox during an update."""
    assert RECORD == CallRecord.from_json({**RECORD.to_json(), "mood": "good"})


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("call_id", None),
        ("call_id", 1),
        ("client_request_id", 1),
        ("at", "2030-01-31T12:00:00"),
        ("at", "noon"),
        ("endpoint", "telepathy"),
        ("prompt_tokens", -1),
        ("prompt_tokens", True),
        ("prompt_tokens", "19"),
        ("provider_cost_usd", 0.5),
        ("provider_cost_usd", "much"),
        ("requests_counted", None),
        ("outcome", "fine"),
        ("error_category", "OOPS"),
        ("attempt", 1.5),
        ("stream", 1),
        ("estimated", None),
        ("windows", None),
        ("windows", {"requests:3600": "noon"}),
    ],
)
def test_what_is_no_record_is_refused_by_its_field(field: str, bad: Any) -> None:
    """A broken entry is found, not guessed at; the message quotes nothing of it."""
    with pytest.raises(ValueError, match=field) as caught:
        CallRecord.from_json({**RECORD.to_json(), field: bad})

    assert str(bad) not in str(caught.value).removeprefix(field) or bad is None


@pytest.mark.parametrize("field", sorted(RECORD.to_json()))
def test_a_record_without_a_field_that_must_be_is_refused(field: str) -> None:
    """What may be unknown is None."""
    values = RECORD.to_json()
    del values[field]
    may_be_unknown = {
        "client_request_id",
        "tier",
        "model_used",
        "provider",
        "prompt_tokens",
        "completion_tokens",
        "cached_tokens",
        "reasoning_tokens",
        "provider_cost_usd",
        "price_usd",
        "error_category",
        "duration_ms",
        "time_to_first_token_ms",
    }
    if field in may_be_unknown:
        assert CallRecord.from_json(values).to_json()[field] is None
    else:
        with pytest.raises(ValueError, match=field):
            CallRecord.from_json(values)


def test_a_dead_worker_s_call_is_accounted_for_from_its_memo() -> None:
    """The request is given back, the estimated prompt is charged, the rest is not known."""
    expected = replace(
        RECORD,
        model_used=None,
        provider=None,
        prompt_tokens=21,
        completion_tokens=None,
        cached_tokens=None,
        reasoning_tokens=None,
        provider_cost_nano_usd=None,
        requests_counted=0,
        outcome=Outcome.ABANDONED,
        duration_ms=None,
        time_to_first_token_ms=None,
        estimated=True,
    )

    assert expected == abandoned(
        orjson.loads(orjson.dumps(MEMO)), windows={"requests:3600": 1_896_091_200_000}
    )
    assert replace(expected, windows={}) == abandoned(MEMO)


@pytest.mark.parametrize("field", sorted(set(MEMO) - {"client_request_id", "tier", "price_usd"}))
def test_what_is_no_memo_is_refused_by_its_field(field: str) -> None:
    """Nothing is made up."""
    with pytest.raises(ValueError, match=field):
        abandoned({**MEMO, field: None})


def test_a_dead_worker_s_call_has_the_price_of_its_estimated_prompt() -> None:
    """As its memo says; one of an earlier version says none."""
    record = abandoned(orjson.loads(orjson.dumps({**MEMO, "price_usd": "0.000630"})))

    assert 630_000 == record.price_nano_usd
    assert abandoned({k: v for k, v in MEMO.items() if k != "price_usd"}).price_nano_usd is None


def test_a_call_whose_admission_nobody_heard_is_charged_nothing() -> None:
    """It was refused; it has a record only where another worker had taken its own for dead."""
    record = unheard({**MEMO, "price_usd": "0.000630"})

    assert (Outcome.ERROR, ErrorCategory.SERVICE_UNAVAILABLE) == (record.outcome, record.error_category)
    assert (0, 0, None) == (record.requests_counted, record.price_nano_usd, record.prompt_tokens)
    assert record == CallRecord.from_json(record.to_json())


def test_windows_are_kept_to_the_millisecond() -> None:
    """As the store has them, so that counters can be rebuilt."""
    assert {"requests:3600": 1_896_091_200_123, "tokens:86400": 0} == windows_of(
        (
            Standing(Counter(Unit.REQUESTS, HOUR_S, 10), 1_896_091_200.123, 1, 0),
            Standing(Counter(Unit.TOKENS, DAY_S, None), 0.0, 1, 0),
        )
    )
