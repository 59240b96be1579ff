"""What a plain script works on: the configured database, and the Redis of the gateway."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from scalix_callbacks.cli.data_dir import DataDir
from scalix_callbacks.cli.embedded_redis import url_of_socket
from scalix_callbacks.cli.running import find_running
from scalix_callbacks.core.limits import Admitted, Ask, Counter, counters_of
from scalix_callbacks.core.record import CallRecord, memo_of, record_of_abandoned, windows_of
from scalix_callbacks.core.tiers import Tier
from scalix_callbacks.ledger.accounts import Accounts, utc_now
from scalix_callbacks.ledger.database import connect, migrate
from scalix_callbacks.ledger.identity import FALLBACK_TIER
from scalix_callbacks.ledger.usage_records import UsageRecords
from scalix_callbacks.ledger.usage_sums import UsageSums
from scalix_callbacks.settings import Settings, load
from scalix_callbacks.store.connection import connect as connect_redis
from scalix_callbacks.store.errors import StoreLost
from scalix_callbacks.store.limiter import RedisLimiter

T = TypeVar("T")
TIMEOUT_S = 5.0
"""A script may wait for Redis longer than a worker that serves others meanwhile."""


class NoRedis(RuntimeError):
    """`str()` says how to get one."""


class Workplace:
    """Opens nothing before it is needed. Any number of threads may share it."""

    @cached_property
    def settings(self) -> Settings:
        return load(os.environ)

    @cached_property
    def _engine(self) -> Any:
        if self.settings.database_url.startswith("sqlite"):
            self.settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        engine = connect(self.settings.database_url)
        migrate(engine)
        return engine

    @cached_property
    def records(self) -> UsageRecords:
        return UsageRecords(self._engine)

    @cached_property
    def sums(self) -> UsageSums:
        return UsageSums(self._engine)

    @property
    def now(self) -> datetime:
        return datetime.now(UTC)

    def close(self) -> None:
        """Lets go of the database; the next use opens it again."""
        if "_engine" in self.__dict__:
            self._engine.dispose()
        self.__dict__.clear()

    def tier_of(self, user_id: str) -> Tier:
        """With the limits and the budget of the account; free where there is no account."""
        account = Accounts(self._engine).find_account(user_id)
        if account is None:
            return self.settings.tiers.or_lowest(FALLBACK_TIER)
        return self.settings.tiers.or_lowest(account.tier_at(utc_now())).overridden(account.own_limits)

    def keep(self, record: CallRecord) -> None:
        """Counts the call against its account's limits, where a Redis is there, and keeps its record.

        It is counted in any case, also beyond a limit: what it used, it has used.

        Raises:
            DatabaseError: it cannot be kept.
        """
        counters = tuple(
            replace(each, amount=None, shadow=None) for each in counters_of(self.tier_of(record.user_id))
        )
        with suppress(NoRedis, StoreLost):  # the ledger is what must last
            record = self.in_redis(lambda limiter: _counted(limiter, record, counters))
        self.records.insert([(record.to_json(), False)])

    def in_redis(self, work: Callable[[RedisLimiter], Awaitable[T]]) -> T:
        """Does `work` with a limiter of its own; in a thread, for the script may have a loop of its own.

        Raises:
            NoRedis: none is set, and no gateway runs on the data directory.
            StoreLost: it does not answer.
        """
        url = self._redis_url()

        async def run() -> T:
            redis = connect_redis(url)
            try:
                return await work(
                    RedisLimiter(redis, f"s-{uuid4().hex}", record_of_abandoned, timeout_s=TIMEOUT_S)
                )
            finally:
                await redis.aclose()

        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, run()).result()

    def _redis_url(self) -> str:
        if self.settings.environment.redis_url is not None:
            return self.settings.environment.redis_url
        running = find_running(DataDir(self.settings.data_dir))
        if running is None or running.state is None or running.state.redis_socket is None:
            raise NoRedis("There is no Redis to ask: set REDIS_URL, or start the gateway.")
        return url_of_socket(Path(running.state.redis_socket))


async def _counted(limiter: RedisLimiter, record: CallRecord, counters: Sequence[Counter]) -> CallRecord:
    """The record with the windows it counts in."""
    tokens = (record.prompt_tokens or 0) + (record.completion_tokens or 0)
    ask = Ask(
        call_id=record.call_id,
        account_id=record.user_id,
        counters=tuple(counters),
        prompt_tokens=tokens,
        output_tokens=None,
        attempt=None,
        memo=memo_of(
            call_id=record.call_id,
            request_id=record.request_id,
            client_request_id=None,
            at=record.at,
            user_id=record.user_id,
            tier=record.tier,
            endpoint=record.endpoint,
            model_requested=record.model_requested,
            prompt_tokens=tokens,
            attempt=record.attempt,
            stream=record.stream,
        ),
    )
    decision = await limiter.admit(ask)
    assert isinstance(decision, Admitted), "nothing limits it"
    counted = replace(record, windows=windows_of(decision.standings))
    await limiter.settle(
        ask,
        is_counted=bool(record.requests_counted),
        tokens=tokens,
        nano_usd=record.price_nano_usd or 0,
        record=counted.to_json(),
    )
    return counted
