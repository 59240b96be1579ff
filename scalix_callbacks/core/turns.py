"""Which call goes on next when more come than a worker takes at once. Pure: time is an argument."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from enum import Enum, auto

LEAST_RETRY_S = 1.0
MOST_RETRY_S = 30.0
_ROUND = 1 << 20
"""In which a queue of weight 1 is served once; weights are shares of it, in whole numbers."""
_SMOOTHING = 0.2


class Place(Enum):
    """Where a call is."""

    IN = auto()
    WAITING = auto()
    TURNED_AWAY = auto()
    OUT = auto()


class Turn:
    """One call's; only `Turns` changes it.

    Attributes:
        told: called once should it be let in, or turned away, after it had to wait.
    """

    __slots__ = ("place", "queue", "told")

    def __init__(self, queue: "_Queue", place: Place) -> None:
        self.queue = queue
        self.place = place
        self.told: Callable[[], None] | None = None


class _Queue:
    """Those of one tier that wait, in their order.

    Attributes:
        rank: 0 for the lowest tier.
        due: when its first is, by the clock of rounds.
    """

    __slots__ = ("due", "rank", "step", "tier", "turns")

    def __init__(self, tier: str, rank: int, weight: int) -> None:
        self.tier = tier
        self.rank = rank
        self.step = _ROUND // weight
        self.due = 0
        self.turns: OrderedDict[Turn, None] = OrderedDict()


class Turns:
    """Lets at most `most_in` in at once, and the others in by the weights of their tiers.

    While several tiers wait, each gets in by its weight: of 16, 4 and 1 the first goes 16 times and the
    second 4 times for each time of the third. Whoever begins to wait stands where its weight puts it: the
    heavier go first, and the lightest goes at last, for its first goes in after at most ⌈w/own⌉ + 1 of each
    other tier of weight w (self-clocked fair queueing: Golestani, INFOCOM 1994, with calls for packets).
    Within a tier it is first come, first served.

    Args:
        weights: of the tiers, lowest first; 1 or more.
    """

    def __init__(self, most_in: int, most_waiting: int, weights: Mapping[str, int]) -> None:
        self._most_in = most_in
        self._most_waiting = most_waiting
        self._queues = {
            tier: _Queue(tier, rank, weight) for rank, (tier, weight) in enumerate(weights.items())
        }
        self._in = 0
        self._waiting = 0
        self._clock = 0
        self._left_at_s: float | None = None
        self._pace_s: float | None = None

    @property
    def are_in(self) -> int:
        return self._in

    @property
    def waiting(self) -> int:
        return self._waiting

    def arrive(self, tier: str) -> Turn:
        """A call comes: it is let in, waits, or is turned away.

        When nobody else may wait, the newest of the lowest tier that waits is turned away, if that is lower.
        """
        queue = self._queues[tier]
        if self._in < self._most_in:  # then nobody waits
            self._in += 1
            return Turn(queue, Place.IN)
        if self._waiting >= self._most_waiting and not self._make_room(queue):
            return Turn(queue, Place.TURNED_AWAY)
        turn = Turn(queue, Place.WAITING)
        if not queue.turns:
            queue.due = self._clock + queue.step
        queue.turns[turn] = None
        self._waiting += 1
        return turn

    def leave(self, turn: Turn, now_s: float) -> None:
        """A call is through, or waits no longer; said again it has no effect."""
        was, turn.place, turn.told = turn.place, Place.OUT, None
        if was is Place.WAITING:
            self._forget(turn)
        elif was is Place.IN:
            self._in -= 1
            self._note_pace(now_s)
            self._let_in()

    def retry_after_s(self) -> float:
        """When to come again: once as many as wait now have been let in at the pace of late. 1 to 30 s."""
        pace_s = 0.0 if self._pace_s is None else self._pace_s
        return min(max((self._waiting + 1) * pace_s, LEAST_RETRY_S), MOST_RETRY_S)

    def _let_in(self) -> None:
        while self._waiting and self._in < self._most_in:
            queue = min((q for q in self._queues.values() if q.turns), key=lambda q: (q.due, -q.rank))
            turn, _ = queue.turns.popitem(last=False)
            self._clock = queue.due
            queue.due += queue.step
            self._waiting -= 1
            self._in += 1
            _tell(turn, Place.IN)

    def _make_room(self, queue: _Queue) -> bool:
        lowest = min((q for q in self._queues.values() if q.turns), key=lambda q: q.rank, default=None)
        if lowest is None or lowest.rank >= queue.rank:
            return False
        newest = next(reversed(lowest.turns))
        self._forget(newest)
        _tell(newest, Place.TURNED_AWAY)
        return True

    def _forget(self, turn: Turn) -> None:
        del turn.queue.turns[turn]
        self._waiting -= 1

    def _note_pace(self, now_s: float) -> None:
        """How long it takes, of late, until one leaves; told only by times in which some wait."""
        if not self._waiting:
            self._left_at_s = None
            return
        if self._left_at_s is not None:
            took_s = max(now_s - self._left_at_s, 0.0)
            pace_s = took_s if self._pace_s is None else self._pace_s
            self._pace_s = pace_s + _SMOOTHING * (took_s - pace_s)
        self._left_at_s = now_s


def _tell(turn: Turn, place: Place) -> None:
    turn.place = place
    told, turn.told = turn.told, None
    if told is not None:
        told()
