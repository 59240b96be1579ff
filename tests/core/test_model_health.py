"""What calls show of a model: it goes down and comes up, and does not waver."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalix_callbacks.core.model_health import (
    HALF_LIFE_S,
    Latency,
    ModelHealth,
    Seen,
    after,
    from_words,
    to_words,
)

NOON = 1_800_000_000.0
OK = Seen(ok=1, firsts=1, first_s=1.0)
FAILED = Seen(failed=1)
counts = st.integers(0, 1_000)
seconds = st.floats(0, 1e6)
any_seen = st.builds(Seen, counts, counts, seconds, counts, seconds, counts)


def told(*batches: Seen, every_s: float = 1.0) -> ModelHealth:
    row = None
    for i, seen in enumerate(batches):
        row = after(row, seen, NOON + i * every_s)
    assert row is not None
    return row


def test_one_failure_is_no_breakdown() -> None:
    """Nor are two among many answers."""
    assert not told(FAILED).is_down
    assert not told(*[OK] * 5, FAILED, FAILED).is_down


def test_a_model_that_fails_goes_down() -> None:
    """With the second of three calls, or with half of many."""
    assert told(FAILED, Seen(failed=2)).is_down
    assert told(Seen(ok=10), Seen(failed=30)).is_down


def test_two_answers_in_a_row_bring_it_up() -> None:
    """A failure between them starts the count anew; so does nothing else."""
    down = [Seen(failed=5)]

    assert told(*down, OK).is_down
    assert told(*down, OK, FAILED, OK).is_down
    assert not told(*down, OK, OK).is_down
    assert not told(*down, OK, FAILED, Seen(ok=2)).is_down


def test_what_brought_it_down_is_over_once_it_is_up() -> None:
    """One more failure is one failure."""
    row = told(Seen(failed=50), OK, OK, FAILED)

    assert not row.is_down
    assert pytest.approx(1 / 3, abs=0.02) == row.failed / (row.ok + row.failed)


def test_it_is_tried_again_in_time() -> None:
    """10 s after a failure, 1 s after a success on its way up, 30 s after its last call when it is up."""
    assert NOON + 10 == told(Seen(failed=5)).retry_at_s()
    assert NOON + 1 + 1 == told(Seen(failed=5), OK).retry_at_s()
    assert NOON + 30 == told(OK).retry_at_s()


def test_a_model_that_failed_a_little_comes_back_as_one_that_was_down() -> None:
    """Tried 10 s after its last failure, then every second, until nothing is held against it any more."""
    row = told(Seen(ok=10), Seen(failed=4))
    assert not row.is_down and row.failure_share > 0.2
    assert NOON + 1 + 10 == row.retry_at_s()

    trials = 0
    while row.failure_share:
        row, trials = after(row, OK, row.retry_at_s()), trials + 1

    assert 3 <= trials <= 20
    assert row.at_s + 30 == row.retry_at_s()


def test_older_calls_count_less() -> None:
    """After one half-life half: a mean of (0.5 × 1 s + 4 s) / 1.5."""
    row = told(OK, Seen(ok=1, firsts=1, first_s=4.0), every_s=HALF_LIFE_S)

    assert (3.0, None) == (row.latency_s(True), row.latency_s(False))
    assert 1.5 == row.ok


def test_a_long_good_past_does_not_hide_a_bad_present() -> None:
    """A thousand quick answers count as four: (4 × 0.1 s + 5 × 2 s) / 9; five failures are a third."""
    past, slow = Seen(1_000, 0, 100.0, 1_000), Seen(5, 0, 10.0, 5)

    assert pytest.approx(10.4 / 9) == told(past, slow, every_s=0).latency_s(True)
    assert pytest.approx(1 / 3) == told(past, Seen(failed=5), every_s=0).failure_share


def test_a_slow_model_comes_back_with_its_next_answer() -> None:
    """Once it was left alone for half a minute."""
    slow, quick = Seen(ok=1, firsts=1, first_s=9.0), Seen(ok=1, firsts=1, first_s=0.5)

    assert 0.5 == told(slow, quick, every_s=30).latency_s(True)
    assert 2 < told(slow, quick, every_s=29).latency_s(True)


def test_a_latency_that_hardly_changes_is_told_as_before() -> None:
    """Within a factor of 1.25 both ways; beyond, the mean itself."""
    latency = Latency().after(1.0, 1, 1.0)

    assert 1.0 == latency.after(1.4, 1, 1.0).told_s  # the mean is 1.2
    assert 1.0 == latency.after(0.7, 1, 1.0).told_s  # 0.85
    assert 1.5 == latency.after(2.0, 1, 1.0).told_s
    assert 0.75 == latency.after(0.5, 1, 1.0).told_s


@given(st.lists(st.floats(0.9, 1.1), min_size=1, max_size=60), st.floats(0.1, 40))
def test_noise_changes_nothing(times: list[float], every_s: float) -> None:
    """Whatever comes within ten per cent of a second, one value is told throughout."""
    row, values = None, set()
    for i, time_s in enumerate(times):
        row = after(row, Seen(ok=1, firsts=1, first_s=time_s), NOON + i * every_s)
        values.add(row.latency_s(True))

    assert 1 == len(values)


@given(st.lists(st.tuples(any_seen, st.floats(-10, 4_000)), min_size=1, max_size=20))
def test_a_row_survives_its_words(steps: list[tuple[Seen, float]]) -> None:
    """Every worker reads exactly what one has written; shares stay shares, whatever the clock does."""
    row, now_s = None, NOON
    for seen, more_s in steps:
        now_s += more_s
        row = after(row, seen, now_s)
        assert row == from_words(to_words(row))
        assert 0 <= row.failure_share <= 1
        assert 0 <= row.failed and 0 <= row.ok


@pytest.mark.parametrize("words", ["", "x", "1 2 3", "nan " * 11 + "1", "- " * 11 + "-", "1e300 " * 11 + "1"])
def test_what_is_no_row_is_passed_over(words: str) -> None:
    """Such as that of another version of this program."""
    assert from_words(words) is None
