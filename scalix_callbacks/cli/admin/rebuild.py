"""The command `rebuild`."""

import argparse
import asyncio
from collections.abc import Iterable

from scalix_callbacks.cli.admin.office import Answer, Office, Refused
from scalix_callbacks.core.budget import BUDGET_WINDOW_S
from scalix_callbacks.core.tiers import DAY_S, TierTable
from scalix_callbacks.drain import Drainer
from scalix_callbacks.ledger.accounts import MAX_PAGE, Accounts
from scalix_callbacks.ledger.usage_records import UsageRecords
from scalix_callbacks.rebuild import Rebuilt, rebuild
from scalix_callbacks.store.connection import connect
from scalix_callbacks.store.counters import TIMEOUT_S, RedisCounters
from scalix_callbacks.store.errors import StoreLost
from scalix_callbacks.store.outbox import OutboxEntry, RedisOutbox

DRAINED_WITHIN_S = 60.0


def counters(arguments: argparse.Namespace, office: Office) -> Answer:
    """Makes the counters anew from the ledger, after Redis was emptied or set back."""
    if office.redis_url is None:
        raise Refused("No gateway runs here, so its Redis does not either: start it, or set REDIS_URL.")
    records = UsageRecords(office.database)
    try:
        done = asyncio.run(_rebuilt(office.redis_url, records, _longest_s(office.tiers, office.accounts)))
    except StoreLost:
        raise Refused("Redis does not answer: check REDIS_URL, and try again.") from None
    text = f"The counters of {done.accounts} accounts are those of the ledger."
    if done.busy:
        text += f"\nNot those of {', '.join(done.busy)}: they are calling right now. Try again."
    return Answer({"accounts": done.accounts, "busy": list(done.busy)}, text)


async def _rebuilt(url: str, records: UsageRecords, longest_s: int) -> Rebuilt:
    redis = connect(url)
    drainer = Drainer(_Outbox(redis, TIMEOUT_S), records)
    try:
        if not await drainer.drain_all(DRAINED_WITHIN_S):
            raise Refused("Records wait in the outbox and do not reach the ledger: the log says why.")
        return await rebuild(records, RedisCounters(redis), longest_s)
    finally:
        drainer.close()
        await redis.aclose()


class _Outbox(RedisOutbox):
    """As `Drainer` knows it."""

    async def read_outbox(self, limit: int) -> list[OutboxEntry]:
        return await self.read(limit)


def _longest_s(tiers: TierTable, accounts: Accounts) -> int:
    """The longest window of any limit or budget."""
    of_tiers = (limit.window_s for tier in tiers.values() for limit in tier.limits)
    return max(DAY_S, BUDGET_WINDOW_S, *of_tiers, *_of_accounts(accounts))


def _of_accounts(accounts: Accounts) -> Iterable[int]:
    after = None
    while page := accounts.list_accounts(MAX_PAGE, after):
        for account in page:
            yield from (limit.window_s for limit in account.own_limits)
        after = page[-1].id
