"""What the tally keeps."""

from hypothesis import given
from hypothesis import strategies as st

from scalix_callbacks.demo_provider.tally import Billed, Outcome, Tally


def billed(prompt_tokens: int = 1, completion_tokens: int = 2, outcome: Outcome = Outcome.OK) -> Billed:
    return Billed(
        at=0.0,
        model="demo",
        endpoint="chat",
        stream=False,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        outcome=outcome,
        http_status=200,
        duration_ms=1.0,
        request_keys=(),
        header_names=(),
        reported_usage=None,
        tag=None,
    )


def add(tally: Tally, *calls: Billed) -> None:
    for call in calls:
        tally.add(call, generation=tally.generation)


def test_totals_stay_exact_when_old_calls_are_dropped() -> None:
    """The list of calls is bounded, the sums are not."""
    tally = Tally(max_calls=2)
    add(tally, billed(1, 10), billed(2, 20, Outcome.CUT), billed(3, 30))

    assert [2, 3] == [call_id for call_id, _ in tally.calls()]
    outcomes = {"ok": 2, "error": 0, "cut": 1, "hang_up": 0, "failed_midstream": 0}
    expected = {
        "calls": 3,
        "prompt_tokens": 6,
        "completion_tokens": 60,
        "total_tokens": 66,
        "outcomes": outcomes,
    }
    assert expected == tally.totals()


@given(st.integers(0, 12), st.integers(0, 15))
def test_since_gives_exactly_the_later_calls(count: int, since: int) -> None:
    """Reading with the last id seen misses no call and repeats none."""
    tally = Tally(max_calls=5)
    add(tally, *[billed()] * count)

    kept = range(max(1, count - 4), count + 1)
    assert [call_id for call_id in kept if call_id > since] == [call_id for call_id, _ in tally.calls(since)]


def test_a_reset_goes_on_counting_ids() -> None:
    """An id seen before a reset never names another call after it."""
    tally = Tally()
    add(tally, billed())
    tally.reset()
    add(tally, billed())

    assert [2] == [call_id for call_id, _ in tally.calls()]
    assert 1 == tally.totals()["calls"]


def test_a_call_that_outlives_a_reset_is_not_counted() -> None:
    """What an earlier test left running does not appear in the next one."""
    tally = Tally()
    began = tally.generation
    tally.reset()
    tally.add(billed(), generation=began)

    assert 0 == tally.totals()["calls"]
