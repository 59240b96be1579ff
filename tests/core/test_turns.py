"""Never more in than the bound, nobody forgotten, the heavier first and the lightest at last."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalix_callbacks.core.turns import Place, Turn, Turns

WEIGHTS = {"free": 1, "pro": 4, "premium": 16}
TIERS = list(WEIGHTS)


def full(most_in: int = 1, most_waiting: int = 100) -> tuple[Turns, list[Turn]]:
    """All places taken."""
    turns = Turns(most_in, most_waiting, WEIGHTS)
    return turns, [turns.arrive("free") for _ in range(most_in)]


def order_of(turns: Turns, holder: Turn, waiting: dict[Turn, str]) -> list[str]:
    """In which order those that wait get in, one after the other."""
    order = []
    while waiting:
        turns.leave(holder, 0.0)
        (holder,) = (turn for turn in waiting if turn.place is Place.IN)
        order.append(waiting.pop(holder))
    turns.leave(holder, 0.0)
    return order


def test_up_to_the_bound_nobody_waits() -> None:
    """And one more does, until a place is free."""
    turns, (first, second) = full(2)
    third = turns.arrive("premium")
    told = []
    third.told = lambda: told.append(third.place)

    assert [Place.IN, Place.IN, Place.WAITING] == [each.place for each in (first, second, third)]
    turns.leave(first, 1.0)
    assert [Place.IN] == told
    assert (2, 0) == (turns.are_in, turns.waiting)


def test_paid_calls_go_first() -> None:
    """However late they came, while there are no more of them than their weight."""
    turns, (holder,) = full()
    waiting = {turns.arrive(tier): tier for tier in ["free"] * 3 + ["pro"] * 3 + ["premium"] * 3}

    assert ["premium"] * 3 + ["pro"] * 3 + ["free"] * 3 == order_of(turns, holder, waiting)


def test_under_lasting_pressure_each_tier_gets_its_share() -> None:
    """Of 42 turns premium has 32, pro 8 and free 2."""
    turns, (holder,) = full(most_waiting=1_000)
    waiting = {turns.arrive(tier): tier for tier in TIERS for _ in range(60)}

    assert {"premium": 32, "pro": 8, "free": 2} == Counter(order_of(turns, holder, waiting)[:42])


def test_within_a_tier_first_come_first_served() -> None:
    """Nobody is overtaken by an equal."""
    turns, (holder,) = full()
    waiting = [turns.arrive("pro") for _ in range(5)]
    for turn in waiting:
        turns.leave(holder, 0.0)
        assert Place.IN is turn.place
        holder = turn


def test_when_nobody_else_may_wait_the_newest_of_the_lowest_tier_is_turned_away() -> None:
    """An equal or higher one is not."""
    turns, _ = full(most_waiting=3)
    old, new, pro = turns.arrive("free"), turns.arrive("free"), turns.arrive("pro")
    told = []
    new.told = lambda: told.append(new.place)

    assert Place.TURNED_AWAY is turns.arrive("free").place
    premium = turns.arrive("premium")
    assert [Place.TURNED_AWAY] == told
    assert [Place.WAITING] * 3 == [each.place for each in (old, pro, premium)]
    another = turns.arrive("premium")
    assert (Place.TURNED_AWAY, Place.WAITING) == (old.place, another.place)
    assert Place.TURNED_AWAY is turns.arrive("pro").place
    assert 3 == turns.waiting


def test_nobody_waits_where_nobody_may() -> None:
    """A room of 0: refused at once."""
    turns, _ = full(most_waiting=0)

    assert Place.TURNED_AWAY is turns.arrive("premium").place


def test_leaving_takes_effect_once() -> None:
    """Whoever says it twice gives back one place."""
    turns, (first, _) = full(2)
    waits, gone = turns.arrive("pro"), turns.arrive("pro")
    for _ in range(2):
        turns.leave(gone, 0.0)
        turns.leave(first, 0.0)

    assert (2, 0, Place.IN) == (turns.are_in, turns.waiting, waits.place)


def test_waiting_in_vain_costs_no_later_turn() -> None:
    """A free user whose calls give up again and again is as near as before."""
    turns, (holder,) = full()
    for _ in range(50):
        turns.leave(turns.arrive("free"), 0.0)
    waiting = {turns.arrive(tier): tier for tier in ["premium"] * 17 + ["free"]}

    assert 16 == order_of(turns, holder, waiting).index("free")


@pytest.mark.parametrize(
    ("every_s", "waiting", "expected"), [(0.5, 9, 5.0), (0.001, 3, 1.0), (20.0, 9, 30.0)]
)
def test_the_promised_retry_is_the_pace_of_late(every_s: float, waiting: int, expected: float) -> None:
    """So many places of so long each; from 1 to 30 s."""
    turns, (holder,) = full()
    queue = [turns.arrive("pro") for _ in range(waiting + 20)]
    for i in range(20):
        turns.leave(holder, i * every_s)
        holder = queue[i]

    assert expected == pytest.approx(turns.retry_after_s(), abs=every_s)


def test_without_a_pace_a_moment_is_promised() -> None:
    """Nobody has left yet."""
    turns, _ = full()

    assert 1.0 == turns.retry_after_s()


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["arrive", "arrive", "leave", "give up"]), st.sampled_from(TIERS), st.integers(0, 50)
    ),
    max_size=150,
)


@given(steps=STEPS, most_in=st.integers(1, 4), most_waiting=st.integers(0, 12))
def test_whatever_comes_and_goes(steps: list[tuple[str, str, int]], most_in: int, most_waiting: int) -> None:
    """Bounds hold, each call is somewhere, none waits beside a free place, and nobody is starved."""
    turns = Turns(most_in, most_waiting, WEIGHTS)
    alive: list[tuple[Turn, str]] = []
    overtaken: Counter[Turn] = Counter()
    for what, tier, number in steps:
        before = [turn for turn, _ in alive if turn.place is Place.WAITING]
        if what == "arrive":
            alive.append((turns.arrive(tier), tier))
        else:
            place = Place.IN if what == "leave" else Place.WAITING
            some = [turn for turn, _ in alive if turn.place is place]
            if some:
                turns.leave(some[number % len(some)], float(number))
        let_in = sum(turn.place is Place.IN for turn in before)
        heads = {}
        for turn, of in alive:
            if turn.place is Place.WAITING:
                heads.setdefault(of, turn)
        for turn in heads.values():
            overtaken[turn] += let_in if turn in before else 0
        alive = [(turn, of) for turn, of in alive if turn.place in (Place.IN, Place.WAITING)]

        places = Counter(turn.place for turn, _ in alive)
        assert places[Place.IN] == turns.are_in <= most_in
        assert places[Place.WAITING] == turns.waiting <= most_waiting
        assert not turns.waiting or turns.are_in == most_in
        for of, turn in heads.items():
            most = sum(-(-weight // WEIGHTS[of]) + 1 for other, weight in WEIGHTS.items() if other != of)
            assert overtaken[turn] <= most
    for turn, _ in list(alive):
        turns.leave(turn, 0.0)
    assert (0, 0) == (turns.are_in, turns.waiting)
