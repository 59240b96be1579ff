"""Who gets a flag: a share of users that only grows, the same in every process."""

import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalix_callbacks.core.rollout import (
    ACTIVE_AGE_S,
    BUCKETS,
    DEFAULT_FLAGS,
    Flag,
    Group,
    Own,
    Pace,
    Person,
    Rollout,
    Stage,
    begun,
    bucket_of,
)
from scalix_callbacks.core.tiers import DAY_S

BUCKET_OF_EVE = 4944
NOON_S = 1_896_091_200.0
"""2030-01-31T12:00:00Z"""
FREE = Person("eve", is_paid=False)
PRO = Person("eve", is_paid=True)
USERS = [f"user_{i}" for i in range(20_000)]

people = st.builds(
    Person,
    st.text(max_size=20),
    st.booleans(),
    st.one_of(st.none(), st.floats(NOON_S - 90 * DAY_S, NOON_S + 90 * DAY_S)),
)
percents = st.integers(0, 100)


@pytest.fixture
def flag() -> Rollout:
    return begun(Flag("liteLLM"), NOON_S)


def parts(rollout: Rollout, days: float) -> list[float]:
    """Of the groups, in the order of the table, in percent."""
    return [rollout.part_of(group, NOON_S + days * DAY_S) / 100 for group in Group]


def test_there_are_four_flags_of_ten_percent_and_ten_more_a_day() -> None:
    """As the contract has them."""
    assert ("liteLLM", "legacyAISDK", "enhancedAnalytics", "rateLimiting") == DEFAULT_FLAGS
    assert (10, 10) == (Flag("liteLLM").percent, Flag("liteLLM").daily_percent)


@pytest.mark.parametrize(
    ("days", "told"),
    [
        (0, [100, 10, 0, 0]),
        (0.999, [100, 10, 0, 0]),
        (1, [100, 20, 0, 0]),
        (2, [100, 30, 10, 0]),
        (6.9, [100, 70, 50, 0]),
        (7, [100, 80, 60, 5]),
        (9, [100, 100, 80, 15]),
        (11, [100, 100, 100, 25]),
        (26, [100, 100, 100, 100]),
        (1000, [100, 100, 100, 100]),
    ],
)
def test_each_group_has_its_pace(flag: Rollout, days: float, told: list[float]) -> None:
    """New users at once, free ones first, active ones two days later, pro with half steps after a week."""
    assert told == parts(flag, days)


@pytest.mark.parametrize(
    ("person", "group"),
    [
        (Person("a", True, NOON_S), Group.NEW),
        (Person("a", False, NOON_S + 1), Group.NEW),
        (Person("a", True, NOON_S - 1), Group.PRO),
        (Person("a", True, None), Group.PRO),
        (Person("a", False, NOON_S - 1), Group.FREE),
        (Person("a", False, None), Group.FREE),
        (Person("a", False, NOON_S - ACTIVE_AGE_S), Group.ACTIVE),
    ],
)
def test_a_user_is_in_one_group(flag: Rollout, person: Person, group: Group) -> None:
    """By what does not change from day to day."""
    assert group is flag.group_of(person)


def test_a_share_of_users_has_it() -> None:
    """Of twenty thousand, within one percent of what is set; other flags choose others."""
    chosen = {name: {user for user in USERS if bucket_of(name, user) < 3_000} for name in DEFAULT_FLAGS}
    shares = [len(users) / len(USERS) for users in chosen.values()]
    both = len(chosen["liteLLM"] & chosen["rateLimiting"]) / len(USERS)

    assert [pytest.approx(0.3, abs=0.01)] * 4 == shares
    assert pytest.approx(0.09, abs=0.01) == both


def test_it_is_the_same_in_every_process() -> None:
    """And on every machine and in every version: these numbers are worked out by hand from SHA-256."""
    code = "from scalix_callbacks.core.rollout import bucket_of; print(bucket_of('liteLLM', 'eve'))"
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    # printf 'liteLLM\neve' | sha256sum: the first 16 digits, modulo 10,000
    assert BUCKET_OF_EVE == int(there) == bucket_of("liteLLM", "eve")


@given(people, st.floats(0, 60 * DAY_S), st.floats(0, 60 * DAY_S), percents, percents)
def test_time_only_adds_users(person: Person, one_s: float, more_s: float, percent: int, daily: int) -> None:
    """Who has it keeps it."""
    rollout = begun(Flag("f", percent, daily), NOON_S)

    before = rollout.verdict(person, None, NOON_S + one_s).is_on
    assert not before or rollout.verdict(person, None, NOON_S + one_s + more_s).is_on


@given(people, percents, percents, st.floats(0, 60 * DAY_S))
def test_a_higher_percentage_only_adds_users(person: Person, low: int, high: int, after_s: float) -> None:
    """Whatever the group and the day."""
    low, high = sorted((low, high))
    now_s, rollout = NOON_S + after_s, begun(Flag("f", daily_percent=0), NOON_S)

    has_it = rollout.with_percent(low, now_s).verdict(person, None, now_s).is_on
    assert not has_it or rollout.with_percent(high, now_s).verdict(person, None, now_s).is_on


@given(percents, percents, percents, st.floats(0, 40 * DAY_S), st.floats(0, 40 * DAY_S))
def test_another_daily_increase_takes_from_nobody_and_leaps_for_nobody(
    percent: int, daily: int, other: int, after_s: float, later_s: float
) -> None:
    """Every group stays where it is, and goes on from there."""
    now_s, rollout = NOON_S + after_s, begun(Flag("f", percent, daily), NOON_S)
    changed = rollout.with_daily(other, now_s)

    for group in Group:
        assert rollout.part_of(group, now_s) == changed.part_of(group, now_s)
        assert changed.part_of(group, now_s) <= changed.part_of(group, now_s + later_s) <= BUCKETS


def test_a_group_can_be_changed_alone(flag: Rollout) -> None:
    """The others keep what they have."""
    now_s = NOON_S + 8 * DAY_S
    changed = flag.with_paces({Group.PRO: Pace(share=100)}, now_s)

    assert [100, 90, 70, 10] == parts(flag, 8)
    assert [100, 90, 70, 90] == parts(changed, 8)
    assert [100, 100, 80, 100] == parts(changed, 9)


def test_nobody_has_it_at_zero(flag: Rollout) -> None:
    """Not even new users."""
    assert [0, 0, 0, 0] == parts(flag.with_percent(0, NOON_S).with_daily(0, NOON_S), 30)


def test_a_pause_stops_its_clock(flag: Rollout) -> None:
    """It goes on from where it stood."""
    paused = flag.paused(NOON_S + 1.5 * DAY_S)
    resumed = paused.resumed(NOON_S + 11.5 * DAY_S, 10)

    assert [100, 20, 0, 0] == parts(paused, 11)
    assert [100, 20, 0, 0] == parts(resumed, 11.9)
    assert [100, 30, 10, 0] == parts(resumed, 12)
    assert flag.epoch == resumed.epoch


@pytest.mark.parametrize(
    ("stage", "own", "is_on"),
    [
        (Stage.RUNNING, None, False),
        (Stage.RUNNING, Own.MIGRATED, True),
        (Stage.ROLLED_BACK, None, False),
        (Stage.ROLLED_BACK, Own.MIGRATED, True),
        (Stage.KILLED, Own.MIGRATED, False),
    ],
)
def test_what_the_operator_decided_for_a_user_holds(
    flag: Rollout, stage: Stage, own: Own | None, is_on: bool
) -> None:
    """Through a rollback, and not through a kill."""
    stopped = replace(flag, stage=stage)

    assert is_on is stopped.verdict(PRO, own, NOON_S).is_on


def test_a_user_rolled_back_has_it_at_no_percentage(flag: Rollout) -> None:
    """And is told so."""
    verdict = flag.with_percent(100, NOON_S).verdict(FREE, Own.ROLLED_BACK, NOON_S)

    assert (False, "The operator rolled this user back.") == (verdict.is_on, verdict.why)


def test_a_verdict_says_why(flag: Rollout) -> None:
    """With the user's number and that of the group."""
    verdict = flag.verdict(FREE, None, NOON_S)

    assert (
        f"The user's number {BUCKET_OF_EVE / 100:g} is not below the 10 % of the group free." == verdict.why
    )


@pytest.mark.parametrize("stage", [Stage.KILLED, Stage.ROLLED_BACK])
def test_after_the_end_it_begins_anew(flag: Rollout, stage: Stage) -> None:
    """At its start percentage, with evidence of its own; it keeps the pace the operator set."""
    slow = flag.with_percent(80, NOON_S).with_daily(1, NOON_S)
    stopped = slow.stopped(stage, NOON_S + DAY_S, {"calls": 5})
    anew = stopped.resumed(NOON_S + 2 * DAY_S, 10)

    assert [0, 0, 0, 0] == parts(stopped, 1)
    assert (10, 1, 2, None) == (anew.percent, anew.daily_percent, anew.epoch, anew.reason)
    assert [100, 11, 0, 0] == parts(anew, 3)


@pytest.mark.parametrize(
    ("days", "last", "following"),
    [
        (0.5, "2030-01-31T12:00:00.000Z", "2030-02-01T12:00:00.000Z"),
        (1.5, "2030-02-01T12:00:00.000Z", "2030-02-02T12:00:00.000Z"),
        (20, "2030-02-09T12:00:00.000Z", None),
    ],
)
def test_the_operator_sees_the_last_step_and_the_next(
    flag: Rollout, days: float, last: str, following: str | None
) -> None:
    """At 100 % there is none any more."""
    told = flag.to_json(NOON_S + days * DAY_S)

    assert (last, following) == (told["last_step_at"], told["next_step_at"])


@given(people, st.sampled_from(Stage), st.none() | st.sampled_from(Own), st.floats(0, 30 * DAY_S))
def test_the_quick_answer_is_the_one_that_is_explained(
    person: Person, stage: Stage, own: Own | None, after_s: float
) -> None:
    """For every user, state and day."""
    rollout, now_s = replace(begun(Flag("f"), NOON_S), stage=stage), NOON_S + after_s

    assert rollout.verdict(person, own, now_s).is_on is rollout.is_on(person, own, rollout.parts(now_s))
