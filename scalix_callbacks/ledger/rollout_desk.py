"""The operator's steps of rollouts, told as JSON: the same for the command line and the API."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from scalix_callbacks.core.moments import iso
from scalix_callbacks.core.rollout import (
    MAX_DELAY_DAYS,
    MAX_SHARE,
    Group,
    Own,
    Pace,
    Person,
    Rollout,
)
from scalix_callbacks.core.rollout_evidence import Triggers, is_well, of_records
from scalix_callbacks.ledger.account_rules import InvalidValue
from scalix_callbacks.ledger.identity import Account
from scalix_callbacks.ledger.rollouts import RolloutRefused, Rollouts
from scalix_callbacks.ledger.usage_records import UsageRecords

MAX_CALLS = 1_000
"""Of one user, the newest, that are looked at."""
_FIELDS = ("percent", "daily_percent", "groups")
_PACE = ("share", "delay_days", "at_once")


class RolloutDesk:
    """Every method may wait for the database; raises `DatabaseError`, and `AccountError` for what cannot be.

    Args:
        lowest_tier: who is on another one pays.
        now: the clock, aware.
    """

    def __init__(
        self,
        rollouts: Rollouts,
        records: UsageRecords,
        triggers: Triggers,
        *,
        lowest_tier: str,
        now: Callable[[], datetime],
    ) -> None:
        self._rollouts, self._records = rollouts, records
        self._triggers, self._lowest_tier, self._now = triggers, lowest_tier, now

    def listed(self) -> dict[str, Any]:
        return {"flags": [self.show(name) for name in self._rollouts.names]}

    def show(self, flag: str) -> dict[str, Any]:
        rollout = self._rollouts.get(flag)
        return {"flag": flag, "state": "not begun"} if rollout is None else self._told(rollout)

    def set(self, flag: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """`percent`, `daily_percent` and `groups`, `{name: {share, delay_days, at_once}}`; what is left out
        stays as it is."""
        _check_known(body, _FIELDS, "this request")
        if not body:
            raise InvalidValue(f"Name what is to be set: {', '.join(_FIELDS)}.")
        percent, daily = _whole(body, "percent", 100), _whole(body, "daily_percent", 100)
        return self._told(
            self._rollouts.set(
                flag,
                percent=percent,
                daily_percent=daily,
                groups=self._paces(flag, body["groups"]) if "groups" in body else None,
            )
        )

    def pause(self, flag: str) -> dict[str, Any]:
        return self._told(self._rollouts.pause(flag))

    def resume(self, flag: str) -> dict[str, Any]:
        return self._told(self._rollouts.resume(flag))

    def kill(self, flag: str) -> dict[str, Any]:
        return self._told(self._rollouts.kill(flag))

    def migrate(self, flag: str, user_id: str) -> dict[str, Any]:
        self._rollouts.migrate(flag, user_id)
        return self.validate(flag, user_id)

    def roll_back_user(self, flag: str, user_id: str) -> dict[str, Any]:
        self._rollouts.roll_back_user(flag, user_id)
        return self.validate(flag, user_id)

    def release(self, flag: str, user_id: str) -> dict[str, Any]:
        self._rollouts.release(flag, user_id)
        return self.validate(flag, user_id)

    def validate(self, flag: str, user_id: str) -> dict[str, Any]:
        """What a user gets and why, and how its calls fared since that was decided, or since the flag began.

        `calls.well` is null where there are too few calls to tell.
        """
        rollout, account, choice = self._rollouts.user(flag, user_id)
        told: dict[str, Any] = {
            "flag": flag,
            "user_id": user_id,
            "decided": None if choice is None else choice.own.value,
            "decided_at": None if choice is None else iso(choice.at),
        }
        if rollout is None:
            return {**told, "on": False, "why": "The flag has not begun.", "group": None, "calls": None}
        own: Own | None = None if choice is None else choice.own
        now = self._now()
        verdict = rollout.verdict(self._person(account, now), own, now.timestamp())
        since = datetime.fromtimestamp(rollout.began_at_s, UTC) if choice is None else choice.at
        calls = of_records(self._records.latest(user_id, since=since, limit=MAX_CALLS), self._triggers)
        fared = {"since": iso(since), **calls.to_json(), "well": is_well(calls, self._triggers)}
        return {**told, **verdict.to_json(), "calls": fared}

    def _person(self, account: Account, now: datetime) -> Person:
        is_paid = account.tier_at(now) != self._lowest_tier
        return Person(account.id, is_paid, account.created_at.timestamp())

    def _told(self, rollout: Rollout) -> dict[str, Any]:
        return rollout.to_json(self._now().timestamp())

    def _paces(self, flag: str, value: object) -> dict[Group, Pace]:
        rollout = self._rollouts.get(flag)
        if rollout is None:
            raise RolloutRefused(
                f"The flag {flag} has not begun: start the gateway, or set its groups in the YAML."
            )
        if not isinstance(value, dict) or not value:
            raise InvalidValue(f"groups must be an object of {', '.join(Group)}.")
        _check_known(value, tuple(Group), "groups")
        return {
            Group(name): _pace(body, rollout.paces[Group(name)], f"groups.{name}")
            for name, body in value.items()
        }


def _pace(body: object, now: Pace, path: str) -> Pace:
    if not isinstance(body, dict) or not body:
        raise InvalidValue(f"{path} must be an object of {', '.join(_PACE)}.")
    _check_known(body, _PACE, path)
    at_once = body.get("at_once", now.at_once if body.keys() <= {"at_once"} else False)
    if not isinstance(at_once, bool):
        raise InvalidValue(f"{path}.at_once must be true or false.")
    share = _whole(body, "share", MAX_SHARE, path)
    delay_days = _whole(body, "delay_days", MAX_DELAY_DAYS, path)
    return Pace(
        now.share if share is None else share, now.delay_days if delay_days is None else delay_days, at_once
    )


def _whole(body: Mapping[str, Any], name: str, most: int, path: str = "") -> int | None:
    if name not in body:
        return None
    value = body[name]
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        where = f"{path}.{name}" if path else name
        raise InvalidValue(f"{where} must be a whole number from 0 to {most}.")
    return value


def _check_known(body: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for name in body:
        if name not in known:
            raise InvalidValue(f"{name[:64]!r} is no field of {where}. Known are {', '.join(known)}.")
