"""What the newest calls are summed up to."""

from dataclasses import replace

from scalix_callbacks.core.recent_calls import BUCKETS, RecentCall, summary

NOON_S = 1_896_091_200.0
CALL = RecentCall("r1", "ada", NOON_S - 1, "gpt-4.1", "pro", "ok", None, 1_000, 200)


def test_times_are_those_of_calls_that_happened() -> None:
    """By the nearest rank: of 20 the tenth and the nineteenth; failed ones and unknown times do not count."""
    calls = [replace(CALL, duration_ms=each * 10, first_token_ms=None) for each in range(1, 21)]
    calls.append(replace(CALL, outcome="error", category="PROVIDER_ERROR", duration_ms=9_999))
    told = summary(calls, since_s=NOON_S - 3_600, now_s=NOON_S, is_cut=False)

    assert {"p50": 100, "p95": 190} == told["latency_ms"] == told["models"]["gpt-4.1"]["latency_ms"]
    assert {"p50": None, "p95": None} == told["first_token_ms"]
    assert (21, 1, 2.1) == (told["calls"], told["failed"], told["lately"]["calls_per_min"])


def test_traffic_is_told_in_equal_parts() -> None:
    """Of an hour 30 of two minutes; each call is in one of them, also the very first and last."""
    ats = (-3_600.0, -3_599.0, -121.0, -1.0, 0.0)
    calls = [replace(CALL, at_s=NOON_S + at) for at in reversed(ats)]
    calls[0] = replace(calls[0], outcome="abandoned")
    traffic = summary(calls, since_s=NOON_S - 3_600, now_s=NOON_S, is_cut=False)["traffic"]

    assert 120.0 == traffic["bucket_s"]
    assert [2, *[0] * (BUCKETS - 3), 1, 1] == traffic["well"]
    assert [*[0] * (BUCKETS - 1), 1] == traffic["failed"]


def test_of_too_many_calls_it_is_told_how_far_back_they_reach() -> None:
    """100 calls of the last 10 seconds are 600 a minute, not 100 an hour."""
    calls = [replace(CALL, at_s=NOON_S - each / 10) for each in range(1, 101)]
    told = summary(calls, since_s=NOON_S - 3_600, now_s=NOON_S, is_cut=True)

    assert ("2030-01-31T11:59:50.000Z", True) == (told["from"], told["is_cut"])
    assert 600.0 == told["lately"]["calls_per_min"]


def test_what_is_wrong_is_judged_by_the_last_minutes() -> None:
    """A failure of half an hour ago is in the figures of the hour, and alarms nobody any more."""
    failed = replace(CALL, outcome="error", category="NETWORK_ERROR")
    calls = [CALL, replace(failed, model="flash"), failed, failed, replace(failed, at_s=NOON_S - 1_800)]
    told = summary(calls, since_s=NOON_S - 3_600, now_s=NOON_S, is_cut=False)

    assert (10, 4, 3, "gpt-4.1") == tuple(
        told["lately"][name] for name in ("minutes", "calls", "failed", "worst")
    )
    assert (1, 0, None) == tuple(told["lately"][name] for name in ("answered", "slow", "slowest"))
    assert 4 == told["failed"]


def test_a_users_mistake_alarms_nobody() -> None:
    """It is among the failures, but it is not the operator's to mend; a worker's death is."""
    failed = replace(CALL, outcome="error", category="CONTEXT_WINDOW_EXCEEDED")
    calls = [failed, failed, replace(CALL, outcome="abandoned", category=None)]
    told = summary(calls, since_s=NOON_S - 3_600, now_s=NOON_S, is_cut=False)

    assert (3, 1) == (told["failed"], told["lately"]["failed"])


def test_an_answer_is_slow_by_when_it_begins() -> None:
    """A stream by its first piece: how long it goes on is the length of the answer."""
    stream = replace(CALL, duration_ms=60_000, first_token_ms=900)
    calls = [
        stream,
        replace(stream, first_token_ms=10_001, model="flash"),
        replace(CALL, first_token_ms=None, duration_ms=10_000),
        replace(CALL, first_token_ms=None, duration_ms=10_001, model="flash"),
        replace(CALL, first_token_ms=None, duration_ms=None),
        replace(CALL, outcome="aborted", first_token_ms=None, duration_ms=90_000),
    ]
    told = summary(calls, since_s=NOON_S - 3_600, now_s=NOON_S, is_cut=False)["lately"]

    assert (5, 2, "flash") == (told["answered"], told["slow"], told["slowest"])


def test_without_a_call_there_is_nothing_to_tell() -> None:
    """And nothing to divide by."""
    told = summary([], since_s=NOON_S - 3_600, now_s=NOON_S, is_cut=False)

    assert (0, {}, []) == (told["calls"], told["models"], told["failures"])
    assert 0.0 == told["lately"]["calls_per_min"]


def test_the_newest_failures_are_named() -> None:
    """Ten at most; a worker's death has no category, and is called by its outcome."""
    lost = replace(CALL, outcome="abandoned", request_id="r0")
    calls = [lost, CALL, *[replace(CALL, outcome="error", category="NETWORK_ERROR")] * 20]
    failures = summary(calls, since_s=NOON_S - 3_600, now_s=NOON_S, is_cut=False)["failures"]

    assert 10 == len(failures)
    assert [("r0", "ABANDONED"), ("r1", "NETWORK_ERROR")] == [
        (each["request_id"], each["category"]) for each in failures[:2]
    ]
