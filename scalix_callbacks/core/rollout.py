"""Who gets a feature: flags that reach users by percentage, group and day, and what takes them back.

A flag has a start percentage and a daily increase. A user belongs to one group, and each group gets a share
of the flag's percentage, from some day of the rollout on:

    group    who                                                                   at once  share  from day
    new      account created since the rollout began, on whatever tier               yes      –       0
    free     lowest tier, or without an account                                       no    100 %     0
    active   lowest tier, account at least 30 days old when the rollout began         no    100 %     2
    pro      every higher tier                                                        no     50 %     7

`active` goes by the age of an account and not by its calls: those change from day to day, and with them the
flag would come and go. A group that begins later begins with the flag's start percentage.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from math import ceil
from typing import Any

from scalix_callbacks.core.moments import iso_of
from scalix_callbacks.core.tiers import DAY_S

BUCKETS = 10_000
"""Of a flag: a user is in one for good, and has the flag while its number is below the percentage."""
ACTIVE_AGE_S = 30 * DAY_S
DEFAULT_PERCENT = 10
DEFAULT_DAILY_PERCENT = 10
DEFAULT_FLAGS = ("liteLLM", "legacyAISDK", "enhancedAnalytics", "rateLimiting")
MAX_FLAGS = 20
MAX_NAME = 40
MAX_SHARE = 1_000
MAX_DELAY_DAYS = 365
_REMEMBERED = 50_000


class Group(StrEnum):
    """Which users share a pace."""

    NEW = "new"
    FREE = "free"
    ACTIVE = "active"
    PRO = "pro"


class Stage(StrEnum):
    """RUNNING: grows by the day. PAUSED: stays as it is. KILLED: off for everybody. ROLLED_BACK: off by
    itself, for all but those whom the operator migrated."""

    RUNNING = "running"
    PAUSED = "paused"
    KILLED = "killed"
    ROLLED_BACK = "rolled_back"


class Own(StrEnum):
    """What the operator decided for one user."""

    MIGRATED = "migrated"
    ROLLED_BACK = "rolled_back"


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a group gets a flag.

    Attributes:
        share: of the flag's percentage, in percent.
        delay_days: from which day of the rollout on.
        at_once: all of the group, while the flag's percentage is above 0; the others do not count then.
    """

    share: int = 100
    delay_days: int = 0
    at_once: bool = False

    def to_json(self) -> dict[str, Any]:
        return {"share": self.share, "delay_days": self.delay_days, "at_once": self.at_once}


DEFAULT_PACES: Mapping[Group, Pace] = {
    Group.NEW: Pace(at_once=True),
    Group.FREE: Pace(),
    Group.ACTIVE: Pace(delay_days=2),
    Group.PRO: Pace(share=50, delay_days=7),
}


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag as it is configured."""

    name: str
    percent: int = DEFAULT_PERCENT
    daily_percent: int = DEFAULT_DAILY_PERCENT
    paces: Mapping[Group, Pace] = field(default_factory=lambda: DEFAULT_PACES)


@dataclass(frozen=True, slots=True)
class Person:
    """What of a user decides. `created_at_s`: of the account, Unix time; None: there is none."""

    id: str
    is_paid: bool
    created_at_s: float | None = None


@dataclass(frozen=True, slots=True)
class Rollout:
    """A flag on its way; all times in seconds, moments in Unix time.

    Its own clock, `ran_s`, begins with 0 at `began_at_s` and stands still while it is not RUNNING.

    Attributes:
        epoch: raised with every new beginning; what calls showed in another one does not count.
        state_at_s: when `stage` began.
        held_s: for how long it stood still before that.
        percent, base_s: the percentage set last, and when, by its own clock.
        bases: what groups had then, in 1/100 %, where that is not their share of `percent`.
        reason: why it was rolled back, with the numbers; None: it was not.
    """

    name: str
    began_at_s: float
    state_at_s: float
    stage: Stage = Stage.RUNNING
    epoch: int = 1
    held_s: float = 0.0
    percent: int = DEFAULT_PERCENT
    daily_percent: int = DEFAULT_DAILY_PERCENT
    base_s: float = 0.0
    bases: Mapping[Group, int] = field(default_factory=dict)
    paces: Mapping[Group, Pace] = field(default_factory=lambda: DEFAULT_PACES)
    reason: Mapping[str, Any] | None = None

    @property
    def is_live(self) -> bool:
        """Whether percentages hold."""
        return self.stage in (Stage.RUNNING, Stage.PAUSED)

    def ran_s(self, now_s: float) -> float:
        until_s = now_s if self.stage is Stage.RUNNING else self.state_at_s
        return max(until_s - self.began_at_s - self.held_s, 0.0)

    def percent_at(self, now_s: float) -> int:
        """The flag's percentage, from 0 to 100, whatever its stage."""
        return min(self.percent + self.daily_percent * self._days(now_s, self.base_s), 100)

    def part_of(self, group: Group, now_s: float) -> int:
        """How much of a group has it by percentage, in 1/100 %; 0 where percentages do not hold."""
        return self._part(group, now_s) if self.is_live else 0

    def group_of(self, person: Person) -> Group:
        created_at_s = person.created_at_s
        if created_at_s is not None and created_at_s >= self.began_at_s:
            return Group.NEW
        if person.is_paid:
            return Group.PRO
        if created_at_s is not None and created_at_s <= self.began_at_s - ACTIVE_AGE_S:
            return Group.ACTIVE
        return Group.FREE

    def parts(self, now_s: float) -> dict[Group, int]:
        """Of all groups; for many users at one moment."""
        return {group: self.part_of(group, now_s) for group in Group}

    def is_on(self, person: Person, own: Own | None, parts: Mapping[Group, int]) -> bool:
        """As `verdict` has it, quickly."""
        if own is not None:
            return own is Own.MIGRATED and self.stage is not Stage.KILLED
        # Nobody is below 0, which a part is while percentages do not hold.
        return bucket_of(self.name, person.id) < parts[self.group_of(person)]

    def verdict(self, person: Person, own: Own | None, now_s: float) -> "Verdict":
        """What a user gets, and why."""
        group = self.group_of(person)
        part, bucket = self.part_of(group, now_s), bucket_of(self.name, person.id)
        if self.stage is Stage.KILLED:
            is_on, why = False, "The flag is killed: it is off for everybody."
        elif own is Own.MIGRATED:
            is_on, why = True, "The operator migrated this user."
        elif own is Own.ROLLED_BACK:
            is_on, why = False, "The operator rolled this user back."
        elif self.stage is Stage.ROLLED_BACK:
            is_on, why = False, "The flag was rolled back: it is off for all but migrated users."
        else:
            is_on = bucket < part
            side = "below" if is_on else "not below"
            why = (
                f"The user's number {percent_text(bucket)} is {side} the {percent_text(part)} % of the group"
                f" {group.value}."
            )
        return Verdict(is_on, why, group, part, bucket)

    # Steps; each gives what is kept from then on.

    def with_percent(self, percent: int, now_s: float) -> "Rollout":
        """All groups that have begun get their share of it, and grow from there."""
        return replace(self, percent=percent, base_s=self.ran_s(now_s), bases={})

    def with_daily(self, daily_percent: int, now_s: float) -> "Rollout":
        """Every group keeps what it has, and grows by this from there."""
        return replace(self._settled(now_s), daily_percent=daily_percent)

    def with_paces(self, paces: Mapping[Group, Pace], now_s: float) -> "Rollout":
        """Groups of which nothing changes keep what they have; the others get their new share at once."""
        settled, merged = self._settled(now_s), {**self.paces, **paces}
        kept = {group: part for group, part in settled.bases.items() if merged[group] == self.paces[group]}
        return replace(settled, paces=merged, bases=kept)

    def paused(self, now_s: float) -> "Rollout":
        return replace(self, stage=Stage.PAUSED, state_at_s=now_s)

    def stopped(self, stage: Stage, now_s: float, reason: Mapping[str, Any] | None = None) -> "Rollout":
        """KILLED or ROLLED_BACK."""
        return replace(self, stage=stage, state_at_s=now_s, reason=reason)

    def resumed(self, now_s: float, start_percent: int) -> "Rollout":
        """Goes on after a pause; after anything else it begins anew, and what was before does not count."""
        if self.stage is Stage.PAUSED:
            held_s = self.held_s + max(now_s - self.state_at_s, 0.0)
            return replace(self, stage=Stage.RUNNING, state_at_s=now_s, held_s=held_s)
        return Rollout(
            self.name,
            now_s,
            now_s,
            epoch=self.epoch + 1,
            percent=start_percent,
            daily_percent=self.daily_percent,
            paces=self.paces,
        )

    def to_json(self, now_s: float) -> dict[str, Any]:
        """As the operator is told."""
        next_day_s = DAY_S - (self.ran_s(now_s) - self.base_s) % DAY_S
        grows = self.stage is Stage.RUNNING and self.daily_percent > 0 and self.percent_at(now_s) < 100
        return {
            "flag": self.name,
            "state": self.stage.value,
            "percent": self.percent_at(now_s) if self.is_live else 0,
            "daily_percent": self.daily_percent,
            "began_at": iso_of(self.began_at_s),
            "state_at": iso_of(self.state_at_s),
            "last_step_at": iso_of(max(self.state_at_s, self._grown_at_s(now_s))),
            "next_step_at": iso_of(now_s + next_day_s) if grows else None,
            "groups": {
                group.value: {**pace.to_json(), "percent": float(percent_text(self.part_of(group, now_s)))}
                for group, pace in self.paces.items()
            },
            "reason": None if self.reason is None else dict(self.reason),
        }

    def _part(self, group: Group, now_s: float) -> int:
        pace = self.paces[group]
        if pace.at_once:
            return BUCKETS if self.percent_at(now_s) > 0 else 0
        delay_s = pace.delay_days * DAY_S
        if self.ran_s(now_s) < delay_s:
            return 0
        grown = self.daily_percent * pace.share * self._days(now_s, max(self.base_s, delay_s))
        return min(self.bases.get(group, self.percent * pace.share) + grown, BUCKETS)

    def _settled(self, now_s: float) -> "Rollout":
        """The same, told from now on."""
        ran_s = self.ran_s(now_s)
        begun = [
            group
            for group, pace in self.paces.items()
            if not pace.at_once and ran_s >= pace.delay_days * DAY_S
        ]
        bases = {group: self._part(group, now_s) for group in begun}
        return replace(self, percent=self.percent_at(now_s), base_s=ran_s, bases=bases)

    def _grown_at_s(self, now_s: float) -> float:
        """When the percentage last grew, or was set."""
        days = self._days(now_s, self.base_s)
        if self.daily_percent:
            days = min(days, ceil((100 - self.percent) / self.daily_percent))
        since_s = self.began_at_s + self.held_s + self.base_s
        return since_s + (days * DAY_S if self.daily_percent else 0)

    def _days(self, now_s: float, since_s: float) -> int:
        return int(max(self.ran_s(now_s) - since_s, 0.0) // DAY_S)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`part` and `bucket` in 1/100 %: what the group has, and the user's number."""

    is_on: bool
    why: str
    group: Group
    part: int
    bucket: int

    def to_json(self) -> dict[str, Any]:
        return {"on": self.is_on, "why": self.why, "group": self.group.value}


@lru_cache(maxsize=_REMEMBERED)
def bucket_of(flag: str, user_id: str) -> int:
    """A user's number for a flag, from 0 to `BUCKETS` - 1: the same in every process and for good."""
    # No flag's name holds a line feed, so that no two pairs make one text.
    text = f"{flag}\n{user_id}".encode("utf-8", "surrogatepass")
    return int.from_bytes(sha256(text).digest()[:8]) % BUCKETS


def begun(flag: Flag, now_s: float) -> Rollout:
    """A flag's first moment."""
    return Rollout(
        flag.name,
        now_s,
        now_s,
        percent=flag.percent,
        daily_percent=flag.daily_percent,
        paces=flag.paces,
    )


def percent_text(hundredths: int) -> str:
    return f"{hundredths / 100:g}"
