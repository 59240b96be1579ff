"""Rollouts as they are kept: read by every worker after a change, changed step by step by the operator."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, delete, func, insert, select, update

from scalix_callbacks.core.moments import iso
from scalix_callbacks.core.rollout import Flag, Group, Own, Pace, Rollout, Stage, begun
from scalix_callbacks.ledger.account_rows import existing_account
from scalix_callbacks.ledger.account_rules import AccountError, AccountNotFound, check_account_id
from scalix_callbacks.ledger.audit import Action, Actor, note
from scalix_callbacks.ledger.database import reading, writing
from scalix_callbacks.ledger.identity import Account
from scalix_callbacks.ledger.schema import rollout_changes, rollout_users, rollouts

MAX_USERS = 10_000
"""Whom the operator decided for one by one, over all flags: every worker remembers all of them."""

_DERIVED = ("last_step_at", "next_step_at")


class RolloutRefused(AccountError):
    """A flag is not in a state for this step; nothing was changed."""


class FlagNotFound(AccountNotFound):
    """There is no such flag."""


@dataclass(frozen=True, slots=True)
class OwnChoice:
    """What was decided for one user, and when."""

    own: Own
    at: datetime


@dataclass(frozen=True, slots=True)
class Kept:
    """All there is, at one change number. Flags that have not begun are not in it."""

    change_no: int
    rollouts: Mapping[str, Rollout]
    users: Mapping[tuple[str, str], Own]


_Step = Callable[[Rollout, float], Rollout]


class Rollouts:
    """The rollouts of one database. Every method may wait for it, and raises `DatabaseError` when it fails.

    Every step is one transaction with its entry in the audit log, and raises `AccountError` where what is
    asked is not possible. A step that changes nothing leaves no entry.

    Args:
        flags: as they are configured; the others there may be in the database are left alone.
        now: the clock, aware.
        actor: who makes the changes.
    """

    def __init__(
        self,
        engine: Engine,
        flags: Sequence[Flag],
        *,
        now: Callable[[], datetime],
        actor: Actor = Actor.OPERATOR,
    ) -> None:
        self._engine = engine
        self._flags = {flag.name: flag for flag in flags}
        self._now = now
        self._actor = actor

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._flags)

    def change_no(self) -> int:
        """The number of the last change; 0 before the first."""
        with reading(self._engine) as connection:
            return _change_no(connection)

    def read(self) -> Kept:
        """What holds now, of flags that are configured."""
        with reading(self._engine) as connection:
            change_no = _change_no(connection)  # before the rest: what changes meanwhile is read again
            found = [_rollout(row) for row in connection.execute(select(rollouts))]
            users = connection.execute(
                select(rollout_users.c.flag, rollout_users.c.account_id, rollout_users.c.own)
            ).all()
        return Kept(
            change_no,
            {each.name: each for each in found if each.name in self._flags},
            {(row.flag, row.account_id): Own(row.own) for row in users if row.flag in self._flags},
        )

    def get(self, flag: str) -> Rollout | None:
        """None: it has not begun. Raises FlagNotFound."""
        self._check(flag)
        with reading(self._engine) as connection:
            return _find(connection, flag)

    def begin(self) -> None:
        """Begin what is configured and has not begun."""
        with reading(self._engine) as connection:
            there = set(connection.scalars(select(rollouts.c.flag)))
        if not there.issuperset(self._flags):
            with writing(self._engine) as connection:
                _raise_change_no(connection)
                for flag in self._flags:
                    self._begun(connection, flag, Actor.SYSTEM)

    # Steps of a flag

    def set(
        self,
        flag: str,
        *,
        percent: int | None = None,
        daily_percent: int | None = None,
        groups: Mapping[Group, Pace] | None = None,
    ) -> Rollout:
        """None: that stays as it is."""

        def step(rollout: Rollout, now_s: float) -> Rollout:
            if not rollout.is_live:
                raise RolloutRefused(f"The flag {flag} is {_word(rollout)}: resume it first.")
            if groups is not None:
                rollout = rollout.with_paces(groups, now_s)
            if daily_percent is not None:
                rollout = rollout.with_daily(daily_percent, now_s)
            return rollout if percent is None else rollout.with_percent(percent, now_s)

        return self._step(flag, Action.ROLLOUT_SET, step)

    def pause(self, flag: str) -> Rollout:
        """Users keep what they have; it does not grow."""

        def step(rollout: Rollout, now_s: float) -> Rollout:
            if not rollout.is_live:
                raise RolloutRefused(f"The flag {flag} is {_word(rollout)}: there is nothing to pause.")
            return rollout if rollout.stage is Stage.PAUSED else rollout.paused(now_s)

        return self._step(flag, Action.ROLLOUT_PAUSE, step)

    def kill(self, flag: str) -> Rollout:
        """Off for everybody, until it is resumed."""

        def step(rollout: Rollout, now_s: float) -> Rollout:
            return rollout if rollout.stage is Stage.KILLED else rollout.stopped(Stage.KILLED, now_s)

        return self._step(flag, Action.ROLLOUT_KILL, step)

    def resume(self, flag: str) -> Rollout:
        """After a pause it goes on; after a kill or a rollback it begins anew, at its start percentage."""

        def step(rollout: Rollout, now_s: float) -> Rollout:
            if rollout.stage is Stage.RUNNING:
                return rollout
            return rollout.resumed(now_s, self._flags[flag].percent)

        return self._step(flag, Action.ROLLOUT_RESUME, step)

    def roll_back(self, flag: str, epoch: int, reason: Mapping[str, Any]) -> bool:
        """Off for all but migrated users; False where it is off already, or has begun anew since `epoch`."""
        is_done = False

        def step(rollout: Rollout, now_s: float) -> Rollout:
            nonlocal is_done
            is_done = rollout.is_live and rollout.epoch == epoch
            return rollout.stopped(Stage.ROLLED_BACK, now_s, reason) if is_done else rollout

        self._step(flag, Action.ROLLOUT_ROLLBACK, step, Actor.SYSTEM)
        return is_done

    def note_growth(self) -> None:
        """Put into the audit log what flags have grown by the day; each step once, whoever says it."""
        now = self._now()
        with reading(self._engine) as connection:
            rows = connection.execute(select(rollouts).where(rollouts.c.stage == Stage.RUNNING)).all()
        for row in rows:
            percent = _rollout(row).percent_at(now.timestamp())
            if row.flag not in self._flags or percent <= row.told_percent:
                continue
            same = rollouts.c.flag == row.flag, rollouts.c.epoch == row.epoch
            with writing(self._engine) as connection:
                raised = update(rollouts).where(*same, rollouts.c.told_percent == row.told_percent)
                if connection.execute(raised.values(told_percent=percent)).rowcount:
                    told = {"flag": row.flag, "old": row.told_percent, "new": percent}
                    note(connection, Actor.SYSTEM, Action.ROLLOUT_GROW, None, now, told)

    # Steps of one user

    def migrate(self, flag: str, account_id: str) -> Account:
        """The user gets it, whatever the percentages; a kill alone goes before."""
        return self._decide(flag, account_id, Own.MIGRATED, Action.ROLLOUT_USER_MIGRATE)

    def roll_back_user(self, flag: str, account_id: str) -> Account:
        """The user does not get it, whatever the percentages."""
        return self._decide(flag, account_id, Own.ROLLED_BACK, Action.ROLLOUT_USER_ROLLBACK)

    def release(self, flag: str, account_id: str) -> Account:
        """The user goes by the percentages again."""
        return self._decide(flag, account_id, None, Action.ROLLOUT_USER_RELEASE)

    def user(self, flag: str, account_id: str) -> tuple[Rollout | None, Account, OwnChoice | None]:
        """What decides of a user. Raises FlagNotFound, AccountNotFound."""
        self._check(flag)
        check_account_id(account_id)
        with reading(self._engine) as connection:
            account = existing_account(connection, account_id)
            return _find(connection, flag), account, _choice(connection, flag, account_id)

    def _decide(self, flag: str, account_id: str, own: Own | None, action: Action) -> Account:
        self._check(flag)
        check_account_id(account_id)
        with writing(self._engine) as connection:
            _raise_change_no(connection)
            self._begun(connection, flag, self._actor)
            account = existing_account(connection, account_id)
            before = _choice(connection, flag, account_id)
            if (None if before is None else before.own) is own:
                return account
            same = rollout_users.c.flag == flag, rollout_users.c.account_id == account_id
            connection.execute(delete(rollout_users).where(*same))
            now = self._now()
            if own is not None:
                count = connection.execute(select(func.count()).select_from(rollout_users)).scalar_one()
                if count >= MAX_USERS:
                    raise RolloutRefused(
                        f"{MAX_USERS:,} users are decided for one by one, which is the most there may be:"
                        " release some, or raise the percentage instead."
                    )
                row = {"flag": flag, "account_id": account_id, "own": own.value, "at": now}
                connection.execute(insert(rollout_users).values(row))
            note(connection, self._actor, action, account_id, now, {"flag": flag})
        return account

    def _step(self, flag: str, action: Action, step: _Step, actor: Actor | None = None) -> Rollout:
        self._check(flag)
        with writing(self._engine) as connection:
            _raise_change_no(connection)
            before, now = self._begun(connection, flag, actor or self._actor), self._now()
            now_s = now.timestamp()
            after = step(before, now_s)
            if after != before:
                _write(connection, after, now_s)
                old, new = before.to_json(now_s), after.to_json(now_s)
                differing = [name for name in new if old[name] != new[name] and name not in _DERIVED]
                told = {
                    "flag": flag,
                    "old": {name: old[name] for name in differing},
                    "new": {name: new[name] for name in differing},
                }
                note(connection, actor or self._actor, action, None, now, told)
            return _find(connection, flag) or after

    def _begun(self, connection: Connection, flag: str, actor: Actor) -> Rollout:
        """The flag, which begins now if it has not. The change number's lock lets nobody else do it."""
        if (found := _find(connection, flag)) is not None:
            return found
        now = self._now()
        first = begun(self._flags[flag], now.timestamp())
        row = _row(first, now.timestamp())
        connection.execute(insert(rollouts).values(row))
        told = {"flag": flag, "percent": first.percent, "daily_percent": first.daily_percent}
        note(connection, actor, Action.ROLLOUT_BEGIN, None, now, told)
        return first

    def _check(self, flag: str) -> None:
        if flag not in self._flags:
            raise FlagNotFound(f"There is no flag {flag[:64]!r}: name one of {', '.join(self._flags)}.")


def choices_of(connection: Connection, account_id: str) -> list[dict[str, Any]]:
    """What is kept of an account here, for its export."""
    query = select(rollout_users).where(rollout_users.c.account_id == account_id)
    rows = connection.execute(query.order_by(rollout_users.c.flag))
    return [{"flag": row.flag, "own": row.own, "at": iso(row.at)} for row in rows]


def forget_choices(connection: Connection, account_id: str) -> None:
    """Remove it, in the transaction that erases the account; before that writes to the audit log, whose lock
    every step takes after this one's."""
    of_account = rollout_users.c.account_id == account_id
    if connection.execute(select(rollout_users.c.flag).where(of_account).limit(1)).first() is not None:
        _raise_change_no(connection)
    connection.execute(delete(rollout_users).where(of_account))


def _change_no(connection: Connection) -> int:
    change_no: int = connection.execute(select(rollout_changes.c.change_no)).scalar_one()
    return change_no


def _raise_change_no(connection: Connection) -> None:
    """Every other change waits until this transaction ends."""
    connection.execute(update(rollout_changes).values(change_no=rollout_changes.c.change_no + 1))


def _find(connection: Connection, flag: str) -> Rollout | None:
    row = connection.execute(select(rollouts).where(rollouts.c.flag == flag)).one_or_none()
    return None if row is None else _rollout(row)


def _choice(connection: Connection, flag: str, account_id: str) -> OwnChoice | None:
    query = select(rollout_users).where(
        rollout_users.c.flag == flag, rollout_users.c.account_id == account_id
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else OwnChoice(Own(row.own), row.at)


def _write(connection: Connection, rollout: Rollout, now_s: float) -> None:
    row = _row(rollout, now_s)
    connection.execute(update(rollouts).where(rollouts.c.flag == rollout.name).values(row))


def _row(rollout: Rollout, now_s: float) -> dict[str, Any]:
    return {
        "flag": rollout.name,
        "stage": rollout.stage.value,
        "epoch": rollout.epoch,
        "began_at": datetime.fromtimestamp(rollout.began_at_s, UTC),
        "state_at": datetime.fromtimestamp(rollout.state_at_s, UTC),
        "held_s": int(rollout.held_s),
        "percent": rollout.percent,
        "daily_percent": rollout.daily_percent,
        "base_s": int(rollout.base_s),
        "bases": {group.value: part for group, part in rollout.bases.items()},
        "groups": {group.value: pace.to_json() for group, pace in rollout.paces.items()},
        "reason": None if rollout.reason is None else dict(rollout.reason),
        "told_percent": rollout.percent_at(now_s),
    }


def _rollout(row: Any) -> Rollout:
    return Rollout(
        row.flag,
        row.began_at.timestamp(),
        row.state_at.timestamp(),
        stage=Stage(row.stage),
        epoch=row.epoch,
        held_s=float(row.held_s),
        percent=row.percent,
        daily_percent=row.daily_percent,
        base_s=float(row.base_s),
        bases={Group(group): part for group, part in row.bases.items()},
        paces={Group(group): Pace(**pace) for group, pace in row.groups.items()},
        reason=row.reason,
    )


def _word(rollout: Rollout) -> str:
    return rollout.stage.value.replace("_", " ")
