"""Numbers that are counted in memory first: writing to shared files costs more than a sum."""

from bisect import bisect_left
from collections.abc import Sequence

from prometheus_client import Counter, Gauge, Histogram

Labels = tuple[str, ...]


class Tally:
    """A counter; what was added shows after `write`."""

    def __init__(self, counter: Counter, *, zeros: Sequence[Labels] = ()) -> None:
        """`zeros`: label values that are shown from the start: a rate needs to have seen the 0."""
        self._counter = counter
        self._waiting: dict[Labels, float] = {}
        self._children: dict[Labels, Counter] = {}
        for labels in zeros:
            self._child(labels)

    def add(self, labels: Labels = (), amount: float = 1.0) -> None:
        """Counts; a negative or unknown amount counts nothing."""
        if amount > 0:
            self._waiting[labels] = self._waiting.get(labels, 0.0) + amount

    def write(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for labels, amount in waiting.items():
            self._child(labels).inc(amount)

    def _child(self, labels: Labels) -> Counter:
        child = self._children.get(labels)
        if child is None:
            child = self._children[labels] = self._counter.labels(*labels) if labels else self._counter
        return child


class Times:
    """A histogram; what was seen shows after `write`."""

    def __init__(
        self, histogram: Histogram, bounds: Sequence[float], *, zeros: Sequence[Labels] = ()
    ) -> None:
        """`bounds`: the upper ones it was made with; `zeros` as for `Tally`."""
        self._histogram = histogram
        self._bounds = tuple(bounds)
        self._waiting: dict[Labels, list[float]] = {}
        self._children: dict[Labels, Histogram] = {}
        for labels in zeros:
            self._child(labels)

    def add(self, labels: Labels, value: float) -> None:
        """Sees a value; what lies below 0, as after a clock was set back, counts as 0."""
        seen = self._waiting.get(labels)
        if seen is None:
            seen = self._waiting[labels] = []
        seen.append(value if value > 0 else 0.0)

    def write(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for labels, values in waiting.items():
            child = self._child(labels)
            counts = [0] * (len(self._bounds) + 1)
            for value in values:
                counts[bisect_left(self._bounds, value)] += 1
            # `observe` writes twice for each value. A test holds what of the library is relied on here.
            child._sum.inc(sum(values))
            for bucket, count in zip(child._buckets, counts, strict=True):
                if count:
                    bucket.inc(count)

    def _child(self, labels: Labels) -> Histogram:
        child = self._children.get(labels)
        if child is None:
            child = self._children[labels] = self._histogram.labels(*labels) if labels else self._histogram
        return child


class Level:
    """A gauge that is counted up and down; how it stands shows after `write`."""

    def __init__(self, gauge: Gauge, all_labels: Sequence[Labels]) -> None:
        """`all_labels`: the label values there are."""
        self._now = dict.fromkeys(all_labels, 0)
        self._children = {labels: gauge.labels(*labels) if labels else gauge for labels in all_labels}

    def add(self, labels: Labels = (), count: int = 1) -> None:
        """Counts; a negative count goes down."""
        self._now[labels] += count

    def write(self) -> None:
        for labels, count in self._now.items():
            self._children[labels].set(count)
