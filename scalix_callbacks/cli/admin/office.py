"""What every command is given, and what it gives back."""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine

from scalix_callbacks.core.tiers import TierTable
from scalix_callbacks.ledger.accounts import Accounts
from scalix_callbacks.ledger.usage_sums import UsageSums
from scalix_callbacks.settings import Settings
from scalix_callbacks.settings.rollout_block import RolloutSettings


class Refused(Exception):
    """What was asked cannot be done; `str()` is the sentence that says so."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command found or did, for a program and for a person.

    Attributes:
        code: what the process ends with.
        pieces: printed instead of both where it may be more than fits into memory.
    """

    data: dict[str, Any]
    text: str
    pieces: Iterator[str] | None = None
    code: int = 0


@dataclass(frozen=True, slots=True)
class Office:
    """What a command works with.

    Attributes:
        rollout: which flags there are.
        redis_url: of the Redis that the gateway uses; None: no gateway runs.
    """

    accounts: Accounts
    sums: UsageSums
    tiers: TierTable
    now: datetime
    engine: Engine | None = None
    redis_url: str | None = None
    rollout: RolloutSettings = field(default_factory=RolloutSettings)

    @property
    def database(self) -> Engine:
        if self.engine is None:
            raise Refused("No database is open: this is a mistake in the program.")
        return self.engine


Command = Callable[[argparse.Namespace, Office], Answer]
Task = Callable[[argparse.Namespace, Settings], Answer]
"""A command that opens no database by itself: there may be none yet."""


def check_tier(name: str, tiers: TierTable) -> None:
    if name not in tiers:
        raise Refused(f"There is no tier {name!r}: name one of {', '.join(tiers.names)}.")


def moment_at(moment: datetime | timedelta | None, now: datetime) -> datetime | None:
    return now + moment if isinstance(moment, timedelta) else moment
