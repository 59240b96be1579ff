"""What is wrong right now, worst first, each with what to do about it: the head of the status page."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from scalix_callbacks.core.recent_calls import SLOW_MS

FAILED_SHARE, BAD_SHARE = 0.1, 0.25
"""Of the calls of late: what is told, and what is bad."""
SLOW_SHARE = 0.05
LEAST_CALLS = 10
"""Of fewer calls no share is told: one of two is no trend."""
MANY_PENDING = 1_000
_NAMED = 5


class Severity(StrEnum):
    """BAD: users are refused or something is about to be lost. WARNING: somebody should look."""

    BAD = "bad"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """`text` says what is wrong, `mend` what to do."""

    severity: Severity
    text: str
    mend: str

    def to_json(self) -> dict[str, str]:
        return {"severity": self.severity.value, "text": self.text, "mend": self.mend}


def findings(
    health: Mapping[str, Any],
    recent: Mapping[str, Any] | None,
    *,
    down: Collection[str] = (),
    resting: Collection[str] = (),
    rolled_back: Collection[str] = (),
    workers: float | None = None,
    workers_set: int = 1,
    waiting_calls: int = 0,
) -> list[Finding]:
    """
    Args:
        health: as `/v1/health` tells it.
        recent: `core.recent_calls.summary`; None: not known.
        down: models that auto mode leaves alone.
        resting: models of which deployments rest after failures.
        rolled_back: flags that went off by themselves.
        workers: how many run; None: not known.
        waiting_calls: those that wait for their turn.
    """
    bad, warning = Severity.BAD, Severity.WARNING
    found: list[Finding] = []
    if health["proxy"]["status"] == "stopping":
        found.append(Finding(bad, "This worker is stopping.", "A restart is under way: wait for it to end."))
    if health["redis"]["status"] == "down":
        found.append(
            Finding(
                bad,
                "Redis does not answer: free users are refused, paid tiers go on by a share of limits.",
                "Look at Redis and the network to it; what went on is counted when it is back.",
            )
        )
    if health["database"]["status"] != "ok":
        found.append(
            Finding(
                bad,
                "The database does not answer: new keys and changes of accounts are not seen,"
                " records wait in Redis.",
                "Look at the database and the network to it; nothing is lost while Redis keeps the records.",
            )
        )
    if health["providers"]["status"] == "down":
        found.append(
            Finding(bad, "No model has credentials.", "Set a provider's key, and restart the gateway.")
        )
    pending = health["outbox"]["pending_records"]
    is_behind = health["outbox"]["status"] != "ok" or (pending or 0) > MANY_PENDING
    # They wait in Redis: while that is away it is what keeps them, and no number is known.
    if is_behind and health["redis"]["status"] != "down":
        waiting = "how many wait is not known" if pending is None else f"{pending:,} wait"
        text = f"Records do not reach the ledger as fast as they come: {waiting}."
        mend = "Look whether the database is away, slow or read-only, the log says why; they are kept."
        found.append(Finding(warning, text, mend))
    if workers is not None and workers < workers_set:
        text = f"{workers:.0f} of {workers_set} workers of this machine run."
        found.append(Finding(warning, text, "A worker that died is replaced by itself; look into the log."))
    if waiting_calls:
        text = f"Overload: {waiting_calls:,} calls wait for their turn, those of paying users go first."
        mend = "Add workers or machines; should their CPU be idle, raise SCALIX_MAX_ACTIVE_CALLS."
        found.append(Finding(warning, text, mend))
    if recent is not None:
        found += _of_calls(recent)
    if down:
        text = f"Down, by what auto mode sees: {_names(down)}."
        found.append(Finding(warning, text, "Look at the provider's own status; auto mode goes around it."))
    if resting:
        text = f"Deployments rest after failures: {_names(resting)}."
        found.append(
            Finding(warning, text, "They are tried again by themselves; see their errors in the log.")
        )
    if rolled_back:
        text = f"Flags were rolled back, for calls of their users failed or were slow: {_names(rolled_back)}."
        found.append(Finding(warning, text, "Find out why, then resume them; they stay off until you do."))
    return sorted(found, key=lambda each: each.severity is not bad)


def _of_calls(recent: Mapping[str, Any]) -> list[Finding]:
    lately, found = recent["lately"], list[Finding]()
    calls, failed = lately["calls"], lately["failed"]
    if calls >= LEAST_CALLS and failed >= FAILED_SHARE * calls:
        text = (
            f"{failed:,} of the {calls:,} calls of the last {lately['minutes']} minutes failed"
            f" ({failed / calls:.0%}), most of them at {lately['worst']}."
        )
        severity = Severity.BAD if failed >= BAD_SHARE * calls else Severity.WARNING
        mend = "See the newest failures below and the provider's own status."
        found.append(Finding(severity, text, mend))
    answered, slow = lately["answered"], lately["slow"]
    if answered >= LEAST_CALLS and slow > SLOW_SHARE * answered:
        text = (
            f"{slow:,} of the {answered:,} answers of the last {lately['minutes']} minutes began only after"
            f" {SLOW_MS // 1_000} s or more, most of them at {lately['slowest']}."
        )
        mend = (
            "See the times of models below and the provider's own status; the workers' CPU if all are slow."
        )
        found.append(Finding(Severity.WARNING, text, mend))
    return found


def _names(names: Collection[str]) -> str:
    shown = ", ".join(sorted(names)[:_NAMED])
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown
