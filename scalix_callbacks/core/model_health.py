"""How well a model answers of late: what calls have shown of it, older ones counting less and less.

Pure and the same for all workers, who keep the rows in one place (`store.model_health`). What is told of a
model changes only when it clearly has: two models of nearly the same merit do not take turns.
"""

from dataclasses import dataclass, replace

HALF_LIFE_S = 20.0
"""After so many seconds a call counts half of what a new one does."""
MEMORY_CALLS, MEMORY_LATENCIES = 10.0, 4.0
"""What went before counts as so many calls at most: a model that becomes slow also answers fewer calls, and
would else be judged by the many it answered while it was quick."""
DOWN_SHARE, DOWN_FAILURES = 0.5, 2.0
"""A model is down when at least so many of its recent calls failed, as a share and as a (decayed) number."""
UP_SUCCESSES = 2
"""It is up again after so many successes without a failure in between."""
RETRY_FAILED_S = 10.0
"""After its last failure a model that was left for failing is tried again so much later."""
RETRY_GOOD_S = 1.0
"""The same after a success: it is on its way up."""
RETRY_PASSED_OVER_S = 30.0
"""A model that was not called for so long may have become better; what it then takes is all that counts."""
SAME_LATENCY = 1.25
"""A mean within this factor of the told one changes nothing."""
SAME_SHARE = 0.1
NO_SHARE = 0.05
"""Less than one failure of twenty is held against no model; else its last tenth would never be forgiven."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What calls have shown since the last time it was told.

    Attributes:
        ok, failed: calls that the model answered, and those it failed.
        first_s, firsts: seconds to the first piece of streams, summed up; and of how many.
        whole_s, wholes: seconds of whole answers.
    """

    ok: int = 0
    failed: int = 0
    first_s: float = 0.0
    firsts: int = 0
    whole_s: float = 0.0
    wholes: int = 0

    def __add__(self, other: "Seen") -> "Seen":
        return Seen(
            self.ok + other.ok,
            self.failed + other.failed,
            self.first_s + other.first_s,
            self.firsts + other.firsts,
            self.whole_s + other.whole_s,
            self.wholes + other.wholes,
        )


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds of recent calls: their decayed sum and number, and the mean as it is told."""

    sum_s: float = 0.0
    count: float = 0.0
    told_s: float | None = None

    def after(self, seconds: float, count: int, decay: float) -> "Latency":
        if not count:
            return replace(self, sum_s=self.sum_s * decay, count=self.count * decay)
        decay = min(decay, MEMORY_LATENCIES / self.count if self.count else 1.0)
        sum_s, number = self.sum_s * decay + seconds, self.count * decay + count
        mean = sum_s / number
        is_same = self.told_s is not None and self.told_s <= mean * SAME_LATENCY <= (
            self.told_s * SAME_LATENCY * SAME_LATENCY
        )
        return Latency(sum_s, number, self.told_s if is_same else mean)


@dataclass(frozen=True, slots=True)
class ModelHealth:
    """One model's row.

    Attributes:
        at_s: when calls last showed anything of it, Unix time.
        ok, failed: decayed numbers of calls.
        failure_share: as it is told, 0 to 1.
        is_down: it is left alone, but for a call now and then that tries it.
        good: its successes since its last failure, `UP_SUCCESSES` at most.
        first, whole: of streams to their first piece, and of whole answers.
    """

    at_s: float
    ok: float = 0.0
    failed: float = 0.0
    failure_share: float = 0.0
    is_down: bool = False
    good: int = 0
    first: Latency = Latency()
    whole: Latency = Latency()

    def latency_s(self, is_stream: bool) -> float | None:
        """As it is told; None: no such call was answered yet."""
        return (self.first if is_stream else self.whole).told_s

    def retry_at_s(self) -> float:
        """From when on a call may try it that would else go to another model."""
        if not self.is_down and not self.failure_share:
            return self.at_s + RETRY_PASSED_OVER_S
        return self.at_s + (RETRY_GOOD_S if self.good else RETRY_FAILED_S)


def after(row: ModelHealth | None, seen: Seen, now_s: float) -> ModelHealth:
    """The row once `seen` is in it; None: nothing was known of the model."""
    old = row or ModelHealth(now_s)
    decay = 0.5 ** (max(now_s - old.at_s, 0.0) / HALF_LIFE_S)
    # So that one quick answer brings back a model that was slow.
    kept = 0.0 if now_s - old.at_s >= RETRY_PASSED_OVER_S else decay
    known = old.ok + old.failed
    decay = min(decay, MEMORY_CALLS / known if known else 1.0)
    ok, failed = old.ok * decay + seen.ok, old.failed * decay + seen.failed
    good = 0 if seen.failed else min(old.good + seen.ok, UP_SUCCESSES)
    is_down = old.is_down and good < UP_SUCCESSES
    if old.is_down and not is_down:
        # What brought it down is over: one more failure is not the third.
        ok, failed = float(seen.ok + old.good), 0.0
    share = failed / (ok + failed) if ok + failed else 0.0
    if share >= DOWN_SHARE and failed >= DOWN_FAILURES:
        is_down = True
    told = old.failure_share if abs(share - old.failure_share) < SAME_SHARE else share
    return ModelHealth(
        max(now_s, old.at_s),
        ok,
        failed,
        0.0 if share < NO_SHARE else told,
        is_down,
        good,
        old.first.after(seen.first_s, seen.firsts, kept),
        old.whole.after(seen.whole_s, seen.wholes, kept),
    )


def to_words(row: ModelHealth) -> str:
    """The row as it is stored: numbers with blanks between them, `-` for None."""
    numbers = (
        row.at_s,
        row.ok,
        row.failed,
        row.failure_share,
        int(row.is_down),
        row.good,
        *(value for of in (row.first, row.whole) for value in (of.sum_s, of.count, of.told_s)),
    )
    return " ".join("-" if number is None else repr(number) for number in numbers)


def from_words(words: str) -> ModelHealth | None:
    """What `to_words` made; None where another version of this program wrote something else."""
    try:
        at_s, ok, failed, share, is_down, good, *latencies = (
            None if word == "-" else float(word) for word in words.split(" ")
        )
        first_sum, first_count, first_told, whole_sum, whole_count, whole_told = latencies
    except ValueError:
        return None
    known = (at_s, ok, failed, share, is_down, good, first_sum, first_count, whole_sum, whole_count)
    if any(number is None or not -1e18 < number < 1e18 for number in known):
        return None
    return ModelHealth(
        at_s or 0.0,
        ok or 0.0,
        failed or 0.0,
        share or 0.0,
        bool(is_down),
        int(good or 0),
        Latency(first_sum or 0.0, first_count or 0.0, first_told),
        Latency(whole_sum or 0.0, whole_count or 0.0, whole_told),
    )
