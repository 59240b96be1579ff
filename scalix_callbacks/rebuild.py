"""Counters made anew from the ledger, after Redis was emptied or set back to an old snapshot."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from scalix_callbacks.core.money import nano_usd
from scalix_callbacks.core.tiers import Unit
from scalix_callbacks.store.counters import Used

TRIES = 20
PAUSE_S = 0.25
"""Between tries for an account that is calling right now, or whose records are on their way."""


class Counters(Protocol):
    """`store.counters.RedisCounters`."""

    async def now_s(self) -> float: ...

    async def read(self, account_id: str) -> dict[str, str]: ...

    async def restore(self, account_id: str, seen: Mapping[str, str], used: Mapping[str, Used]) -> bool: ...


class Records(Protocol):
    """`ledger.usage_records.UsageRecords`."""

    def page(
        self,
        user_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> tuple[list[dict[str, Any]], str | None]: ...


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What came of it: how many accounts, and those that would not hold still."""

    accounts: int
    busy: tuple[str, ...]


async def rebuild(
    records: Records,
    counters: Counters,
    longest_s: int,
    *,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> Rebuilt:
    """Makes the counters of every account with records what those say; calls may go on meanwhile.

    An account's counters change only if no call of it came between reading its records and that.

    Args:
        longest_s: the longest window of any limit: older records are in none that runs.
    """
    since = datetime.fromtimestamp(await counters.now_s(), UTC) - timedelta(seconds=longest_s)
    accounts = await asyncio.to_thread(lambda: {record["user_id"] for record in _all(records, None, since)})
    busy = [
        account_id
        for account_id in sorted(accounts)
        if not await _rebuild_one(account_id, records, counters, since, sleep)
    ]
    return Rebuilt(len(accounts) - len(busy), tuple(busy))


async def _rebuild_one(
    account_id: str,
    records: Records,
    counters: Counters,
    since: datetime,
    sleep: Callable[[float], Awaitable[object]],
) -> bool:
    for _ in range(TRIES):
        # In this order: what is settled behind the first look changes it.
        seen = await counters.read(account_id)
        found = await asyncio.to_thread(lambda: list(_all(records, account_id, since)))
        if await counters.restore(account_id, seen, used_by(found, await counters.now_s())):
            return True
        await sleep(PAUSE_S)
    return False


def used_by(records: list[dict[str, Any]], now_s: float) -> dict[str, Used]:
    """What one account has used of each counter, by its records in JSON form.

    After a loss calls may count in a second window while the first one runs; then both are one, from the
    begin of the first.
    """
    amounts: defaultdict[str, defaultdict[int, int]] = defaultdict(lambda: defaultdict(int))
    for record in records:
        for name, started_at_ms in record["windows"].items():
            unit, _, window_s = name.partition(":")
            amount = _amount(Unit(unit), record)
            # A window in which nothing was kept has not begun.
            if amount and started_at_ms / 1_000 + int(window_s) > now_s:
                amounts[name][started_at_ms] += amount
    return {name: Used(min(each), sum(each.values())) for name, each in amounts.items()}


def _amount(unit: Unit, record: Mapping[str, Any]) -> int:
    match unit:
        case Unit.REQUESTS:
            return int(record["requests_counted"])
        case Unit.TOKENS:
            return (record["prompt_tokens"] or 0) + (record["completion_tokens"] or 0)
        case Unit.USD:
            return 0 if record["price_usd"] is None else nano_usd(record["price_usd"])


def _all(records: Records, user_id: str | None, since: datetime) -> Iterator[dict[str, Any]]:
    cursor = None
    while True:
        page, cursor = records.page(user_id, since, None, 1_000, cursor)
        yield from page
        if cursor is None:
            return
