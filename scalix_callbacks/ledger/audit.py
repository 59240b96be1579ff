"""The audit log: who changed what, each entry sealed over the one before it.

An entry's hash is the SHA-256 of the hash before it, a line feed, and the entry as JSON with sorted names.
An entry names an account by a salted digest. The digest's meaning lies in `audit_subjects`, where a person
can be erased; the log itself stays as it was written.
"""

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Engine, func, insert, select, update

from scalix_callbacks.core.moments import iso
from scalix_callbacks.ledger.database import reading
from scalix_callbacks.ledger.schema import audit_head, audit_log, audit_subjects

MAX_PAGE = 1_000
_BATCH = 1_000
_SALT_BYTES = 16


class Actor(StrEnum):
    """Who made a change."""

    OPERATOR = "operator"  # by the API
    CLI = "cli"
    USER = "user"
    SYSTEM = "system"  # the gateway by itself, such as its clean-up


class Action(StrEnum):
    """What was changed, or noticed."""

    ACCOUNT_CREATE = "account.create"
    ACCOUNT_TIER = "account.tier"
    ACCOUNT_BUDGET = "account.budget"
    ACCOUNT_LIMITS = "account.limits"
    ACCOUNT_SUSPEND = "account.suspend"
    ACCOUNT_RESUME = "account.resume"
    ACCOUNT_CONSENT = "account.consent"
    ACCOUNT_ERASE = "account.erase"
    LIMITS_RESET = "limits.reset"
    KEY_CREATE = "key.create"
    KEY_ROTATE = "key.rotate"
    KEY_EXPIRE = "key.expire"
    KEY_REVOKE = "key.revoke"
    RETENTION_CLEAN = "retention.clean"
    KEY_NEW_PLACE = "key.new_place"
    POLICY_REFUSAL = "policy.refusal"
    ANOMALY = "anomaly"
    ROLLOUT_BEGIN = "rollout.begin"
    ROLLOUT_SET = "rollout.set"
    ROLLOUT_GROW = "rollout.grow"  # by the day
    ROLLOUT_PAUSE = "rollout.pause"
    ROLLOUT_RESUME = "rollout.resume"
    ROLLOUT_KILL = "rollout.kill"
    ROLLOUT_ROLLBACK = "rollout.rollback"  # by itself
    ROLLOUT_USER_MIGRATE = "rollout.user_migrate"
    ROLLOUT_USER_ROLLBACK = "rollout.user_rollback"
    ROLLOUT_USER_RELEASE = "rollout.user_release"
    WATCH_DROPPED = "watch.dropped"  # more was noticed than could be kept


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the log.

    Attributes:
        entries: how many are there and whole, from the first on.
        hash: of the last of them; noted elsewhere, it shows later that the log was not written anew.
        broken_no: the first entry that is not as it was; None: all are.
        problem: one sentence about it; None: there is none.
    """

    entries: int
    hash: str
    broken_no: int | None = None
    problem: str | None = None


def note(
    connection: Connection,
    actor: Actor,
    action: Action,
    account_id: str | None,
    at: datetime,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Add an entry, in the transaction of the change itself; other changes wait until that ends.

    Args:
        account_id: whose; None: nobody's.
        details: JSON values; never a key, and nothing that names a person.
    """
    # The head's row lock orders the entries, so it is taken first.
    raised = update(audit_head).values(no=audit_head.c.no + 1)
    no, before = connection.execute(raised.returning(audit_head.c.no, audit_head.c.hash)).one()
    row = {
        "no": no,
        "at": at,
        "actor": actor.value,
        "action": action.value,
        "subject": None if account_id is None else _subject_of(connection, account_id),
        "details": json.dumps(details or {}, sort_keys=True, separators=(",", ":")),
    }
    row["hash"] = _seal(before, row)
    connection.execute(insert(audit_log).values(row))
    connection.execute(update(audit_head).values(hash=row["hash"]))


def hide(connection: Connection, account_id: str, pseudonym: str) -> None:
    """Let the log speak of `pseudonym` instead; nobody can find out any more whom its digest meant."""
    known = update(audit_subjects).where(audit_subjects.c.account_id == account_id)
    connection.execute(known.values(account_id=pseudonym, salt=None))


def place_of(connection: Connection, account_id: str, network: str) -> str:
    """What the log calls a network, for this account alone; after its erasure nobody can tell which."""
    digest = _subject_of(connection, account_id)
    known = select(audit_subjects.c.salt).where(audit_subjects.c.digest == digest)
    salt: str = connection.execute(known).scalar_one()
    return hmac.new(salt.encode(), network.encode(), hashlib.sha256).hexdigest()[:32]


class AuditLog:
    """The log of one database, to be read. Every method may wait for the database.

    Every method raises `DatabaseError` when the database fails.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def page(
        self, account_id: str | None = None, limit: int = 100, before: int | None = None
    ) -> tuple[list[dict[str, Any]], int | None]:
        """Up to `limit` (1 to 1,000) entries, newest first, and what the next page is `before`, if any.

        Args:
            account_id: whose; None: all.
        """
        if not 1 <= limit <= MAX_PAGE:
            raise ValueError(f"A page has 1 to {MAX_PAGE} entries.")
        query = (
            select(audit_log, audit_subjects.c.account_id)
            .join(audit_subjects, audit_subjects.c.digest == audit_log.c.subject, isouter=True)
            .order_by(audit_log.c.no.desc())
            .limit(limit + 1)
        )
        if account_id is not None:
            query = query.where(audit_subjects.c.account_id == account_id)
        if before is not None:
            query = query.where(audit_log.c.no < before)
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        entries = [
            {
                "no": row.no,
                "at": iso(row.at),
                "actor": row.actor,
                "action": row.action,
                "user_id": row.account_id,
                "details": _parsed(row.details),
                "hash": row.hash,
            }
            for row in rows[:limit]
        ]
        return entries, rows[limit - 1].no if len(rows) > limit else None

    def verify(self) -> Verdict:
        """Whether every entry is there, as it was written and in its place. Others may be added meanwhile."""
        done, seal = 0, "0" * 64
        with reading(self._engine) as connection:
            while True:
                query = (
                    select(
                        audit_log, audit_subjects.c.digest, audit_subjects.c.account_id, audit_subjects.c.salt
                    )
                    .join(audit_subjects, audit_subjects.c.digest == audit_log.c.subject, isouter=True)
                    .where(audit_log.c.no > done)
                    .order_by(audit_log.c.no)
                    .limit(_BATCH)
                )
                rows = connection.execute(query).all()
                for row in rows:
                    if problem := _problem(row, done + 1, seal):
                        return Verdict(done, seal, min(row.no, done + 1), problem)
                    done, seal = row.no, row.hash
                if rows:
                    continue
                head = connection.execute(select(audit_head.c.no, audit_head.c.hash)).one_or_none()
                if head is None or head.no < done:
                    return Verdict(done, seal, done, f"Entry {done} is one too many: it was added.")
                if head.no == done:
                    break
                if not connection.execute(select(func.count()).where(audit_log.c.no > done)).scalar_one():
                    return Verdict(done, seal, done + 1, f"Entry {done + 1} is missing: it was removed.")
            if not hmac.compare_digest(head.hash, seal):
                problem = f"Entry {done} is not the one that was last: it was written anew."
                return Verdict(done, seal, done, problem)
            hidden = connection.execute(_HIDDEN).scalar()
        if hidden is not None:
            problem = f"Entry {hidden} is of an account that is hidden and was not erased."
            return Verdict(hidden - 1, seal, hidden, problem)
        return Verdict(done, seal)


_ERASURES = select(audit_log.c.subject).where(audit_log.c.action == Action.ACCOUNT_ERASE.value)
_HIDDEN = (
    select(func.min(audit_log.c.no))
    .join(audit_subjects, audit_subjects.c.digest == audit_log.c.subject)
    .where(audit_subjects.c.salt.is_(None), audit_log.c.subject.not_in(_ERASURES))
)


def _problem(row: Any, expected_no: int, before: str) -> str | None:
    if row.no != expected_no:
        return (
            f"Entry {expected_no} is missing: it was removed."
            if row.no > expected_no
            else (f"Entry {row.no} is one too many: it was added.")
        )
    sealed = {name: getattr(row, name) for name in ("no", "at", "actor", "action", "subject", "details")}
    if not hmac.compare_digest(row.hash, _seal(before, sealed)):
        return f"Entry {row.no} is not as it was written: it, or the one before it, was changed."
    if row.subject is None:
        return None
    if row.digest is None:
        return f"Entry {row.no} is of an account that audit_subjects does not know: a row was removed there."
    if row.salt is not None and _digest(row.salt, row.account_id) != row.digest:
        return f"Entry {row.no} is of another account than audit_subjects says: a row was changed there."
    return None


def _subject_of(connection: Connection, account_id: str) -> str:
    known = select(audit_subjects.c.digest).where(
        audit_subjects.c.account_id == account_id, audit_subjects.c.salt.is_not(None)
    )
    digest: str | None = connection.execute(known).scalar()
    if digest is None:
        salt = secrets.token_hex(_SALT_BYTES)
        digest = _digest(salt, account_id)
        values = {"digest": digest, "account_id": account_id, "salt": salt}
        connection.execute(insert(audit_subjects).values(values))
    return digest


def _digest(salt: str, account_id: str) -> str:
    return hashlib.sha256(f"{salt} {account_id}".encode()).hexdigest()


def _seal(before: str, row: Mapping[str, Any]) -> str:
    told = {**row, "at": iso(row["at"])}
    text = json.dumps(told, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"{before}\n{text}".encode()).hexdigest()


def _parsed(details: str) -> Any:
    try:
        return json.loads(details)
    except ValueError:  # somebody changed it; `verify` says so
        return details
