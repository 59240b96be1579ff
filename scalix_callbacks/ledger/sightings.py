"""Keys used from new places, refusals by policy and anomalies: what workers noticed, into the audit log.

A place is a digest of a network, keyed with the salt of its account in `audit_subjects`: whoever is erased
loses the salt, and with it the way from the entry back to the network. An hour is one of the clock, in UTC.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, delete, func, insert, select, update

from scalix_callbacks.core.caller import OPERATOR_ID
from scalix_callbacks.core.moments import iso
from scalix_callbacks.core.policy import Counted, Policy, Refused, Sighting, UsedFrom, anomalies
from scalix_callbacks.ledger.audit import Action, Actor, note, place_of
from scalix_callbacks.ledger.database import reading, writing
from scalix_callbacks.ledger.schema import accounts, audit_head, key_places, watched

NEW_PLACES_PER_HOUR = 20
"""Entries about new places of one account; beyond, the rule `many_places` has told enough."""
MAX_PLACES = 100
"""Of one key; beyond, the longest unused is forgotten."""
PLACES_KEPT = timedelta(days=90)
COUNTS_KEPT = timedelta(days=1)


class Sightings:
    """Of one database. Every method may wait for it, and raises `DatabaseError` when it fails.

    Args:
        now: the clock, aware.
    """

    def __init__(self, engine: Engine, *, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._now = now

    def write(self, sightings: Mapping[Sighting, int], dropped: int = 0) -> None:
        """Count all of it, and note what is new in this hour; in one transaction.

        Of who has no account, nothing is kept: an operator's backend may name anybody.

        Args:
            sightings: with how often.
            dropped: how many more there were, of which nothing is known.
        """
        now = self._now()
        with writing(self._engine) as connection:
            _own_log(connection)
            known = _known(connection, {sighting.account_id for sighting in sightings})
            for sighting, count in sightings.items():
                if sighting.account_id not in known:
                    continue
                match sighting:
                    case UsedFrom():
                        _place(connection, sighting, now)
                    case Refused():
                        _refusal(connection, sighting, count, now)
            if dropped:
                note(connection, Actor.SYSTEM, Action.WATCH_DROPPED, None, now, {"sightings": dropped})

    def forget_old(self) -> None:
        """Remove places that were not used for long, and the counts of hours that are over."""
        now = self._now()
        with writing(self._engine) as connection:
            _own_log(connection)
            connection.execute(delete(key_places).where(key_places.c.last_at < now - PLACES_KEPT))
            connection.execute(delete(watched).where(watched.c.hour_at < now - COUNTS_KEPT))

    def of_account(self, account_id: str) -> dict[str, list[dict[str, Any]]]:
        """All that is kept of an account beside the log, for its export."""
        places = select(key_places).where(key_places.c.account_id == account_id)
        counts = select(watched).where(watched.c.account_id == account_id)
        with reading(self._engine) as connection:
            return {
                "key_places": [
                    {
                        "key_id": row.key_id,
                        "place": row.place,
                        "first_at": iso(row.first_at),
                        "last_at": iso(row.last_at),
                    }
                    for row in connection.execute(places.order_by(key_places.c.first_at))
                ],
                "watched": [
                    {"hour_at": iso(row.hour_at), "what": row.what, "count": row.count}
                    for row in connection.execute(counts.order_by(watched.c.hour_at, watched.c.what))
                ],
            }


def forget_sightings(connection: Connection, account_id: str) -> None:
    """Remove all of an account, in the transaction that erases it."""
    for table in (key_places, watched):
        connection.execute(delete(table).where(table.c.account_id == account_id))


def _own_log(connection: Connection) -> None:
    """Until the end of the transaction nobody else writes to the log, and so nobody is erased either:
    whose account is found now is still there when this is committed."""
    connection.execute(update(audit_head).values(no=audit_head.c.no))


def _known(connection: Connection, account_ids: set[str]) -> set[str]:
    query = select(accounts.c.id).where(accounts.c.id.in_(account_ids))
    return {OPERATOR_ID, *connection.scalars(query)}


def _place(connection: Connection, used: UsedFrom, now: datetime) -> None:
    place = place_of(connection, used.account_id, used.network)
    of_key = key_places.c.account_id == used.account_id, key_places.c.key_id == used.key_id
    again = update(key_places).where(*of_key, key_places.c.place == place).values(last_at=now)
    if not connection.execute(again).rowcount:
        _new_place(connection, used, place, now)
    here = select(func.count()).select_from(key_places).where(*of_key, key_places.c.last_at >= _hour(now))
    count: int = connection.execute(here).scalar_one()
    _judge(connection, used.account_id, Counted.PLACES_OF_KEY, count, now, {"key_id": used.key_id})


def _new_place(connection: Connection, used: UsedFrom, place: str, now: datetime) -> None:
    of_account = key_places.c.account_id == used.account_id
    of_key = of_account, key_places.c.key_id == used.key_id
    new = select(func.count()).select_from(key_places).where(of_account, key_places.c.first_at >= _hour(now))
    noted: int = connection.execute(new).scalar_one()
    kept: int = connection.execute(select(func.count()).select_from(key_places).where(*of_key)).scalar_one()
    if kept >= MAX_PLACES:
        oldest = select(key_places.c.place).where(*of_key).order_by(key_places.c.last_at).limit(1)
        connection.execute(delete(key_places).where(*of_key, key_places.c.place == oldest.scalar_subquery()))
    values = {"account_id": used.account_id, "key_id": used.key_id, "place": place}
    connection.execute(insert(key_places).values(**values, first_at=now, last_at=now))
    if noted < NEW_PLACES_PER_HOUR:
        details = {"key_id": used.key_id, "place": place}
        note(connection, Actor.SYSTEM, Action.KEY_NEW_PLACE, used.account_id, now, details)


def _refusal(connection: Connection, refused: Refused, count: int, now: datetime) -> None:
    account_id = refused.account_id
    total = _counted(connection, account_id, refused.policy.value, count, now)
    if total == count:
        details = {"policy": refused.policy.value}
        note(connection, Actor.SYSTEM, Action.POLICY_REFUSAL, account_id, now, details)
    if refused.policy is Policy.KEY_REVOKED:
        _judge(connection, account_id, Counted.REVOKED_KEYS_USED, total, now)
    all_of_it = select(func.sum(watched.c.count)).where(
        watched.c.account_id == account_id,
        watched.c.hour_at == _hour(now),
        watched.c.what.in_([policy.value for policy in Policy]),
    )
    _judge(connection, account_id, Counted.REFUSALS, int(connection.execute(all_of_it).scalar_one()), now)


def _judge(
    connection: Connection,
    account_id: str,
    counted: Counted,
    count: int,
    now: datetime,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Note each rule that is broken, once an hour for each account."""
    for rule in anomalies(counted, count):
        if _counted(connection, account_id, rule.name, 1, now) == 1:
            told = {"rule": rule.name, "count": count, "more_than": rule.more_than, **(details or {})}
            note(connection, Actor.SYSTEM, Action.ANOMALY, account_id, now, told)


def _counted(connection: Connection, account_id: str, what: str, count: int, now: datetime) -> int:
    """Adds, and returns the sum of the hour. The lock on the head of the log lets no other add meanwhile."""
    hour_at = _hour(now)
    same = watched.c.account_id == account_id, watched.c.hour_at == hour_at, watched.c.what == what
    added = update(watched).where(*same).values(count=watched.c.count + count).returning(watched.c.count)
    total: int | None = connection.execute(added).scalar()
    if total is not None:
        return total
    connection.execute(insert(watched).values(account_id=account_id, hour_at=hour_at, what=what, count=count))
    return count


def _hour(now: datetime) -> datetime:
    return now.replace(minute=0, second=0, microsecond=0)
