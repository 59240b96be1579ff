"""Flags in one worker: who has them, what calls show of them, and taking one back that does harm.

Nothing of it waits for a call, and no call for it. Flags are remembered and read again after a change, whose
number is polled. What calls show is left in memory, summed up in Redis about once a second, and judged by one
worker at a time.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

from scalix_callbacks.core.alerts import Alert, Kind
from scalix_callbacks.core.call import Call
from scalix_callbacks.core.caller import Caller
from scalix_callbacks.core.errors import ErrorCategory
from scalix_callbacks.core.rollout import Group, Own, Person, Rollout
from scalix_callbacks.core.rollout_evidence import (
    FAULTS,
    Minute,
    Triggers,
    fired,
    is_refusal,
    summed,
    waited_s,
)
from scalix_callbacks.core.routes import Endpoint
from scalix_callbacks.ledger.errors import DatabaseError
from scalix_callbacks.ledger.in_time import ask
from scalix_callbacks.ledger.rollouts import Kept
from scalix_callbacks.store.errors import StoreLost

POLL_S = 1.0
JUDGE_S = 5.0
"""How often somebody judges."""
LATE_S = 2.0
"""After its end a minute is judged: workers tell of it up to about a second late."""
MAX_WAITING = 50_000
"""Calls between two tellings; beyond, what they show is not counted."""

_log = logging.getLogger("scalix.rollout")
_Place = tuple[str, int, int]


class Book(Protocol):
    """`ledger.rollouts.Rollouts`. Raises DatabaseError."""

    def change_no(self) -> int: ...

    def read(self) -> Kept: ...

    def begin(self) -> None: ...

    def roll_back(self, flag: str, epoch: int, reason: Mapping[str, Any]) -> bool: ...

    def note_growth(self) -> None: ...


class Evidence(Protocol):
    """`RedisRolloutEvidence`. Raises StoreLost."""

    async def add(self, seen: Mapping[_Place, Minute]) -> None: ...

    async def read(self, epochs: Mapping[str, int], newest: int, count: int) -> dict[str, list[Minute]]: ...

    async def take_turn(self, for_ms: int) -> bool: ...


class Flags:
    """One worker's.

    Args:
        evidence: None: there is no Redis, and nothing is rolled back by itself.
        names: of all flags that are configured.
        lowest_tier: who is on another one pays.
        tell: an alert.
        rolled_back: is told the name of a flag that this worker has taken back.
    """

    def __init__(
        self,
        book: Book,
        evidence: Evidence | None,
        names: Sequence[str],
        triggers: Triggers,
        *,
        lowest_tier: str,
        tell: Callable[[Alert], None],
        rolled_back: Callable[[str], None],
        now_s: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._book, self._evidence = book, evidence
        self._names, self._triggers = tuple(names), triggers
        self._lowest_tier = lowest_tier
        self._tell, self._rolled_back = tell, rolled_back
        self._now_s, self._sleep = now_s, sleep
        self._change_no: int | None = None
        self._rollouts: Mapping[str, Rollout] = {}
        self._users: Mapping[tuple[str, str], Own] = {}
        self._known_parts: dict[str, dict[Group, int]] = {}
        self._parts_of: Mapping[str, Rollout] | None = None
        self._parts_at_s = 0.0
        self._ended: list[tuple[Person, bool, float, float, float]] = []
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="scalix-rollout")

    @property
    def triggers(self) -> Triggers:
        return self._triggers

    def of(self, caller: Caller) -> dict[str, bool]:
        """Every flag for this caller; costs no I/O. The operator's own calls have none."""
        if caller.tier is None:
            return dict.fromkeys(self._names, False)
        person, parts = self._person(caller), self._parts()
        return {name: name in parts and self._is_on(name, person, parts) for name in self._names}

    def answered(
        self, call: Call, endpoint: Endpoint | None, error: ErrorCategory | None, took_s: float
    ) -> None:
        """A request is answered. The user's own errors and refusals show nothing."""
        caller = call.caller
        if endpoint is None or caller is None or caller.tier is None or not self._rollouts:
            return
        first_s = call.first_token_s if call.is_stream else None
        # A stream that ended well had a first token.
        has_left = error is ErrorCategory.CLIENT_CLOSED or (error is None and call.is_stream)
        if (error not in FAULTS and not has_left and error is not None) or len(self._ended) >= MAX_WAITING:
            return
        is_retryable = call.failure is None or call.failure.is_retryable
        if error is not None and is_refusal(error, was_tried=call.ask is not None, is_retryable=is_retryable):
            return
        waited = waited_s(first_s, took_s, has_left, self._triggers)
        if waited is None:
            return
        ended = (self._person(caller), error in FAULTS, waited, call.started_at_s, self._now_s())
        self._ended.append(ended)

    async def told(self) -> dict[str, Any]:
        """All flags, for the operator, each with how its users fare of late; None: Redis does not tell."""
        now_s = self._now_s()
        epochs = {name: rollout.epoch for name, rollout in self._rollouts.items()}
        newest = self._newest(now_s)
        minutes: Mapping[str, Sequence[Minute]] = {}
        if self._evidence is not None:
            with suppress(StoreLost):
                minutes = await self._evidence.read(epochs, newest, self._triggers.minutes)
        rows = [
            {
                **rollout.to_json(now_s),
                "recent": summed(minutes[name], self._triggers) if name in minutes else None,
                "migrated": self._count(name, Own.MIGRATED),
                "rolled_back": self._count(name, Own.ROLLED_BACK),
            }
            for name, rollout in self._rollouts.items()
        ]
        order = {name: i for i, name in enumerate(self._names)}
        rows.sort(key=lambda row: order[row["flag"]])
        return {"flags": rows, "triggers": self._triggers.to_json()}

    # In the background

    async def poll_forever(self) -> None:
        """Keeps what is remembered true; run it as a task for as long as the worker lives."""
        has_begun = was_lost = False
        while True:
            try:
                if not has_begun:
                    await ask(self._reader, self._book.begin)
                    has_begun = True
                await self.poll()
                was_lost = False
            except DatabaseError as error:
                if not was_lost:
                    _log.warning("Rollouts stay as they were last read (%s).", type(error).__name__)
                was_lost = True
            except Exception:
                _log.exception("Reading the rollouts failed; it is tried again.")
            await self._sleep(POLL_S)

    async def watch_forever(self) -> None:
        """Tells what calls show, and judges when it is this worker's turn."""
        turn_s = min(JUDGE_S, self._triggers.minute_s)
        asked_at_s = float("-inf")
        while True:
            try:
                await self.share()
                if self._evidence is not None and not 0 <= self._now_s() - asked_at_s < turn_s:
                    asked_at_s = self._now_s()
                    # Over before it is asked for again, so that a worker that is alone has all of them.
                    if await self._evidence.take_turn(int(900 * turn_s)):
                        await self.judge()
                        await ask(self._reader, self._book.note_growth)
            except (StoreLost, DatabaseError):
                pass  # others tell of it
            except Exception:
                _log.exception("Watching the rollouts failed; it is tried again.")
            await self._sleep(POLL_S)

    async def poll(self) -> None:
        """Reads everything again if anything has changed. Raises DatabaseError."""
        if await ask(self._reader, self._book.change_no) == self._change_no:
            return
        kept = await ask(self._reader, self._book.read)
        self._change_no, self._rollouts, self._users = kept.change_no, kept.rollouts, kept.users

    async def share(self) -> None:
        """Adds what calls showed to what all workers know.

        Raises:
            StoreLost: it is not said again, for it may have been heard: too little evidence harms nobody.
        """
        ended, self._ended = self._ended, []
        if not ended:
            return
        seen: dict[_Place, Minute] = {}
        rollouts, parts = self._rollouts, self._parts()
        for at, (person, is_fault, took_s, started_at_s, ended_at_s) in enumerate(ended):
            if at % 1_000 == 999:
                await asyncio.sleep(0)  # a call may not wait for all of them
            for name, rollout in rollouts.items():
                # Who began before this epoch did so by the flags of another.
                if started_at_s < rollout.began_at_s or not self._is_on(name, person, parts):
                    continue
                place = (name, rollout.epoch, int(ended_at_s // self._triggers.minute_s))
                seen.setdefault(place, Minute()).add(is_fault, took_s, self._triggers)
        if self._evidence is not None and seen:
            await self._evidence.add(seen)

    async def judge(self) -> None:
        """Takes back every flag whose triggers have fired. Raises StoreLost, DatabaseError."""
        if self._evidence is None:
            return
        live = {name: each for name, each in self._rollouts.items() if each.is_live}
        epochs = {name: each.epoch for name, each in live.items()}
        found = await self._evidence.read(epochs, self._newest(self._now_s()), self._triggers.minutes)
        for name, minutes in found.items():
            reason = fired(minutes, self._triggers)
            if reason is None:
                continue
            epoch = epochs[name]
            if await ask(self._reader, partial(self._book.roll_back, name, epoch, reason)):
                _log.error("The flag %s was rolled back: %s.", name, reason)
                self._rolled_back(name)
                self._tell(rolled_back(name, epoch, reason, self._triggers))
        await self.poll()

    def close(self) -> None:
        """Takes nothing more; a query under way ends by itself."""
        self._reader.shutdown(wait=False, cancel_futures=True)

    def _newest(self, now_s: float) -> int:
        """The last minute that all have told of."""
        return int((now_s - LATE_S) // self._triggers.minute_s) - 1

    def _parts(self) -> dict[str, dict[Group, int]]:
        """What groups have now, of every flag; worked out at most once a second."""
        now_s = self._now_s()
        if self._parts_of is not self._rollouts or not 0 <= now_s - self._parts_at_s < 1:
            self._known_parts = {name: each.parts(now_s) for name, each in self._rollouts.items()}
            self._parts_of, self._parts_at_s = self._rollouts, now_s
        return self._known_parts

    def _is_on(self, name: str, person: Person, parts: Mapping[str, Mapping[Group, int]]) -> bool:
        own = self._users.get((name, person.id))
        return self._rollouts[name].is_on(person, own, parts[name])

    def _person(self, caller: Caller) -> Person:
        return Person(caller.id, caller.tier != self._lowest_tier, caller.created_at_s)

    def _count(self, flag: str, own: Own) -> int:
        return sum(decided is own for (name, _), decided in self._users.items() if name == flag)


class Counts(Protocol):
    """`RequestMetrics`, as the edge knows it."""

    def opened(self) -> None: ...

    def closed(self) -> None: ...

    def passed_on(self, took_s: float) -> None: ...

    def answered(
        self, call: Call, endpoint: Endpoint | None, error: ErrorCategory | None, took_s: float
    ) -> None: ...


class AlsoCounts:
    """Counts as another does, and tells the flags as well."""

    def __init__(self, counts: Counts, flags: Flags) -> None:
        self._counts, self._flags = counts, flags
        self.opened, self.closed, self.passed_on = counts.opened, counts.closed, counts.passed_on

    def answered(
        self, call: Call, endpoint: Endpoint | None, error: ErrorCategory | None, took_s: float
    ) -> None:
        self._counts.answered(call, endpoint, error, took_s)
        self._flags.answered(call, endpoint, error, took_s)


def rolled_back(flag: str, epoch: int, reason: Mapping[str, Any], triggers: Triggers) -> Alert:
    """That a flag was taken back, with the numbers."""
    minutes = reason["minutes"]
    if reason["trigger"] == "p95":
        why = f"95 in 100 answers took up to {reason['p95_s']:g} s, above {triggers.p95_s:g} s"
    else:
        failed, most = reason["error_percent"], triggers.error_percent
        why = f"{failed:g} % of {reason['calls']} calls failed, above {most:g} %"
    return Alert(
        Kind.ROLLBACK,
        f"Scalix Gateway: the flag {flag} was rolled back: for {minutes} minutes {why}. It stays off until"
        " you resume it.",
        about=f"{flag}:{epoch}",
        fields={"flag": flag, **reason},
    )
