"""What every command is given, and what it gives back."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from scalix_callbacks.core.tiers import TierTable
from scalix_callbacks.ledger.accounts import Accounts
from scalix_callbacks.ledger.usage_sums import UsageSums


class Refused(Exception):
    """What was asked cannot be done; `str()` is the sentence that says so."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command found or did, for a program and for a person."""

    data: dict[str, Any]
    text: str


@dataclass(frozen=True, slots=True)
class Office:
    """What a command works with."""

    accounts: Accounts
    sums: UsageSums
    tiers: TierTable
    now: datetime


Command = Callable[[argparse.Namespace, Office], Answer]


def check_tier(name: str, tiers: TierTable) -> None:
    if name not in tiers:
        raise Refused(f"There is no tier {name!r}: name one of {', '.join(tiers.names)}.")


def moment_at(moment: datetime | timedelta | None, now: datetime) -> datetime | None:
    return now + moment if isinstance(moment, timedelta) else moment
