"""Tells the operator's webhook what is wrong: in the background, once, and never in the way of a call."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

import httpx

from scalix_callbacks.core.alerts import BACK, Alert, Kind
from scalix_callbacks.core.limits import Standing
from scalix_callbacks.core.moments import iso
from scalix_callbacks.core.money import usd_text
from scalix_callbacks.ledger.errors import DatabaseError
from scalix_callbacks.ledger.expiring_keys import ExpiringKeys
from scalix_callbacks.store.errors import StoreLost

MAX_WAITING = 100
TRIES = 5
FIRST_BACKOFF_S = 1.0
TIMEOUT_S = 5.0
GOOD_S = 15.0
"""For how long a state must be over before that is told: workers do not all see it at once."""
DATABASE_SILENCE_S = 60.0
OUTBOX_LONG = 1_000
KEYS_LOOK_S = 3_600
HOLD_S = {Kind.STORE_LOST: 5.0, Kind.DATABASE_AWAY: 0.0, Kind.OUTBOX_GROWING: 60.0}
"""For how long a state must last before it is told."""

_log = logging.getLogger("scalix.alerts")


class Claims(Protocol):
    """Who tells; raises StoreLost where Redis is asked."""

    async def claim(self, name: str, for_s: int) -> bool: ...

    async def release(self, name: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class _Waiting:
    """`ends`: it is told only if this was told before, and is not told any more."""

    alert: Alert
    ends: Alert | None = None


class Alerts:
    """A bounded queue in front of the webhook.

    Args:
        webhook: None: nothing is told.
        everywhere: claims among all workers; None: there is no Redis.
        here: claims among the workers of this machine.
        told: is given `sent`, `failed` or `dropped` for each.
        post: sends a body to an address and returns the HTTP status; raises httpx.HTTPError.
    """

    def __init__(
        self,
        webhook: str | None,
        *,
        everywhere: Claims | None,
        here: Claims,
        told: Callable[[str], None],
        post: Callable[[str, object], Awaitable[int]] | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._webhook = webhook
        self._everywhere = everywhere
        self._here = here
        self._told = told
        self._post = post or _post
        self._sleep = sleep
        self._now = now
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue(MAX_WAITING)
        self._in_queue: set[str] = set()

    @property
    def is_on(self) -> bool:
        return self._webhook is not None

    def tell(self, alert: Alert) -> None:
        """Soon, unless some worker has told it; does not wait."""
        self._put(_Waiting(alert))

    def tell_end(self, of: Alert, alert: Alert) -> None:
        """That `of` is over, if it was told and no other worker tells its end."""
        self._put(_Waiting(alert, of))

    async def run_forever(self) -> None:
        """Tells for as long as the worker lives; run it as a task."""
        while True:
            await self.tell_next()

    async def tell_next(self) -> None:
        """Waits for an alert and sees it through."""
        waiting = await self._queue.get()
        self._in_queue.discard(waiting.alert.name)
        try:
            if await self._is_ours(waiting):
                self._told("sent" if await self._sent(waiting.alert) else "failed")
        except Exception as error:  # the outermost place; the next alert may get through
            _log.error("An alert (%s) could not be told (%s).", waiting.alert.kind, type(error).__name__)
            self._told("failed")

    async def first_to(self, name: str, for_s: int) -> bool:
        """Whether this worker is the one to do something that one does for all."""
        try:
            return await (self._everywhere or self._here).claim(name, for_s)
        except StoreLost:
            return await self._here.claim(name, for_s)

    def _put(self, waiting: _Waiting) -> None:
        if self._webhook is None or waiting.alert.name in self._in_queue:
            return
        try:
            self._queue.put_nowait(waiting)
        except asyncio.QueueFull:
            self._told("dropped")
        else:
            self._in_queue.add(waiting.alert.name)

    async def _is_ours(self, waiting: _Waiting) -> bool:
        alert = waiting.ends or waiting.alert
        # A lost Redis cannot be asked who tells that; each machine does.
        if self._everywhere is not None and alert.kind is not Kind.STORE_LOST:
            try:
                return await self._ask(self._everywhere, waiting, alert)
            except StoreLost:
                pass
        return await self._ask(self._here, waiting, alert)

    @staticmethod
    async def _ask(claims: Claims, waiting: _Waiting, alert: Alert) -> bool:
        if waiting.ends is not None:
            return await claims.release(alert.name)
        return await claims.claim(alert.name, alert.repeat_s)

    async def _sent(self, alert: Alert) -> bool:
        """Tries some times, ever later; the address is a secret and never logged."""
        assert self._webhook is not None
        body, reason = alert.to_json(iso(self._now())), ""
        for attempt in range(TRIES):
            if attempt:
                await self._sleep(FIRST_BACKOFF_S * 2 ** (attempt - 1))
            try:
                status = await self._post(self._webhook, body)
            except (httpx.HTTPError, OSError) as error:
                reason = type(error).__name__
                continue
            if status < 300:
                return True
            reason = f"HTTP {status}"
            if status < 500 and status not in (408, 429):
                break
        _log.error("SCALIX_ALERT_WEBHOOK does not take the alert %s (%s). Check it.", alert.kind, reason)
        return False


class StateWatch:
    """Looks at states that last, and tells when they begin and when they are over.

    Args:
        elapsed: seconds that only grow.
    """

    def __init__(self, alerts: Alerts, elapsed: Callable[[], float]) -> None:
        self._alerts = alerts
        self._elapsed = elapsed
        self._since: dict[Kind, float] = {}
        self._good_since: dict[Kind, float] = {}
        self._told: set[Kind] = set()

    def look(self, *, is_store_lost: bool, database_silent_s: float | None, pending: int | None) -> None:
        """How it is now; None is not known, and changes nothing."""
        self._judge(
            Alert(
                Kind.STORE_LOST,
                "Scalix Gateway: Redis does not answer. Free users are refused; paid tiers go on, bounded.",
            ),
            Alert(Kind.STORE_BACK, "Scalix Gateway: Redis answers again."),
            is_store_lost,
        )
        if database_silent_s is not None:
            self._judge(
                Alert(
                    Kind.DATABASE_AWAY,
                    f"Scalix Gateway: the database has not answered for {database_silent_s:.0f} s. Records"
                    " wait, and keys that workers do not know are refused.",
                    fields={"silent_s": round(database_silent_s)},
                ),
                Alert(Kind.DATABASE_BACK, "Scalix Gateway: the database answers again."),
                database_silent_s > DATABASE_SILENCE_S,
            )
        if pending is not None:
            self._judge(
                Alert(
                    Kind.OUTBOX_GROWING,
                    f"Scalix Gateway: {pending} records wait for the ledger. Look at the database.",
                    fields={"pending": pending},
                ),
                Alert(Kind.OUTBOX_SHRUNK, "Scalix Gateway: the ledger keeps up again."),
                pending > OUTBOX_LONG,
            )

    def _judge(self, begins: Alert, ends: Alert, is_bad: bool) -> None:
        kind, now_s = begins.kind, self._elapsed()
        assert BACK[kind] is ends.kind
        if is_bad:
            self._good_since.pop(kind, None)
            since_s = self._since.setdefault(kind, now_s)
            if now_s - since_s >= HOLD_S[kind]:
                self._told.add(kind)
                self._alerts.tell(begins)  # every time: the claim lets it through once an hour
        elif kind in self._since and now_s - self._good_since.setdefault(kind, now_s) >= GOOD_S:
            del self._since[kind], self._good_since[kind]
            if kind in self._told:
                self._told.discard(kind)
                self._alerts.tell_end(begins, ends)


class KeyWatch:
    """Tells once a day which keys end within `days`; one worker looks for all.

    Args:
        find: the keys that end between two moments; asked in a thread; raises DatabaseError.
    """

    def __init__(
        self,
        alerts: Alerts,
        find: Callable[[datetime, datetime], ExpiringKeys],
        days: int,
        *,
        now: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._alerts = alerts
        self._find = find
        self._days = days
        self._now = now
        self._sleep = sleep

    async def run_forever(self) -> None:
        """For as long as the worker lives; run it as a task."""
        while self._days and self._alerts.is_on:
            try:
                if await self._alerts.first_to("look for expiring keys", KEYS_LOOK_S - 60):
                    await self.look()
            except (DatabaseError, OSError) as error:
                _log.warning("Expiring keys are looked for later (%s).", type(error).__name__)
            await self._sleep(KEYS_LOOK_S)

    async def look(self) -> None:
        """Tells of those that end soon. Raises: DatabaseError."""
        now = self._now()
        found = await asyncio.to_thread(self._find, now, now + timedelta(days=self._days))
        if found.count:
            first = ", ".join(f"{key_id} of {account} ({iso(at)})" for key_id, account, at in found.first)
            more = " and others" if found.count > len(found.first) else ""
            text = f"Scalix Gateway: keys that end within {self._days} days: {found.count}. {first}{more}."
            self._alerts.tell(
                Alert(Kind.KEY_EXPIRING, text, fields={"keys": found.count, "days": self._days})
            )


def budget_used(account_id: str, tier: str | None, standing: Standing) -> Alert:
    """That an account has used `WARNING_SHARE` of a budget."""
    amount = standing.counter.amount or 0
    share = round(100 * standing.used / amount) if amount else 0
    return Alert(
        Kind.BUDGET_USED,
        f"Scalix Gateway: the account {account_id} has used {share} % of its budget of"
        f" {usd_text(amount)} USD.",
        about=f"{account_id}:{standing.counter.id}:{standing.started_at_s}",
        fields={
            "user_id": account_id,
            "tier": tier,
            "budget_usd": usd_text(amount),
            "used_usd": usd_text(standing.used),
            "window_s": standing.counter.window_s,
        },
    )


async def _post(address: str, body: object) -> int:
    async with httpx.AsyncClient(timeout=TIMEOUT_S, follow_redirects=False) as client:
        return (await client.post(address, json=body)).status_code
