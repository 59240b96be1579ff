"""The composition root: Settings → clients → Gateway; the only place where things are wired."""

import asyncio
import atexit
import logging
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from scalix_callbacks.core.breaker import Breaker
from scalix_callbacks.core.limits import Counter, Standing
from scalix_callbacks.core.record import abandoned, windows_of
from scalix_callbacks.core.redact import Redactor
from scalix_callbacks.drain import Drainer
from scalix_callbacks.ends import Ends
from scalix_callbacks.erasing import Eraser
from scalix_callbacks.gateway import Gateway
from scalix_callbacks.kept import Kept
from scalix_callbacks.ledger.accounts import Accounts, utc_now
from scalix_callbacks.ledger.audit import AuditLog
from scalix_callbacks.ledger.database import connect as connect_database
from scalix_callbacks.ledger.database import migrate
from scalix_callbacks.ledger.directory import Directory
from scalix_callbacks.ledger.erasures import Erasures
from scalix_callbacks.ledger.errors import DatabaseError
from scalix_callbacks.ledger.export import Export
from scalix_callbacks.ledger.retention import Retention
from scalix_callbacks.ledger.usage_records import UsageRecords
from scalix_callbacks.ledger.usage_sums import UsageSums
from scalix_callbacks.metering import Meter
from scalix_callbacks.metrics import Metrics
from scalix_callbacks.proxy import logs, runtime
from scalix_callbacks.proxy.callbacks import ScalixCallbacks
from scalix_callbacks.proxy.credentials import has_default_credentials
from scalix_callbacks.proxy.internals import internal_fields
from scalix_callbacks.proxy.served import max_output_of
from scalix_callbacks.settings import Settings, SettingsError, load
from scalix_callbacks.settings.secrets import secrets
from scalix_callbacks.store.connection import Pulse
from scalix_callbacks.store.connection import connect as connect_redis
from scalix_callbacks.store.errors import StoreLost
from scalix_callbacks.store.limiter import RENEW_S, RedisLimiter
from scalix_callbacks.store.memory import MemoryLimiter
from scalix_callbacks.store.memory_store import MemoryStore
from scalix_callbacks.web.health import Health

FLUSH_TIMEOUT_S = 10.0
BREAKER_PAUSE_S = 1.0
"""For how long after Redis was lost nobody waits for it."""

_log = logging.getLogger("scalix.app")


class App:
    """Everything one worker works with. Builds at once; `start` begins what runs in the background."""

    def __init__(self, settings: Settings) -> None:
        environment = settings.environment
        if environment.master_key is None:
            raise SettingsError(
                "LITELLM_MASTER_KEY: not set. Set it, or start with scripts/start_scalix_litellm.py."
            )
        self.settings = settings
        logs.install(
            Redactor(secrets(settings.config, os.environ)),
            level=environment.log_level,
            is_debug=environment.is_debug,
        )
        environment.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._engine = connect_database(environment.database_url)
        migrate(self._engine)
        self.accounts = Accounts(self._engine)
        self.directory = Directory(self.accounts, time.monotonic)
        self.gateway = Gateway(
            master_key=environment.master_key,
            tiers=settings.tiers,
            catalogue=settings.catalogue,
            callers=self.directory,
            internal_fields=internal_fields(),
            now=lambda: datetime.now(UTC),
        )
        self.callbacks = ScalixCallbacks(settings.catalogue)
        self._redis = connect_redis(environment.redis_url) if environment.redis_url else None
        self._pulse = Pulse(self._redis) if self._redis is not None else None
        self._worker_id = f"w-{uuid4().hex}"
        self.limiter = self._limiter()
        self.records = UsageRecords(self._engine)
        self.sums = UsageSums(self._engine)
        self._drainer = Drainer(self.limiter, self.records)
        self.audit = AuditLog(self._engine)
        self.export = Export(self._engine, now=utc_now)
        self.eraser = Eraser(
            Erasures(self._engine, now=utc_now),
            self.limiter,
            self._drainer.drain_all,
            Retention(self._engine, environment.retention_days, now=utc_now),
        )
        self._breaker = Breaker(BREAKER_PAUSE_S)
        self._ends = Ends(self.limiter, self._breaker)
        self._kept = Kept(self.records)
        self.metrics = Metrics(os.environ.get("PROMETHEUS_MULTIPROC_DIR"))
        self.meter = Meter(
            self.limiter,
            MemoryLimiter(MemoryStore(), self._worker_id, _record_of_abandoned),
            self._ends,
            self._breaker,
            settings.tiers,
            workers=environment.workers,
            keep=self._kept.keep,
            ended=self.metrics.ended,
            chain_of=self.gateway.usable_chain,
            max_output_of=max_output_of(settings.catalogue),
            prices=settings.prices,
        )
        self._pending: int | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.is_stopping = False

    def _limiter(self) -> RedisLimiter | MemoryLimiter:
        if self._redis is not None:
            return RedisLimiter(self._redis, self._worker_id, _record_of_abandoned)
        _log.warning("No Redis is set: limits are this process's own. Set REDIS_URL, or use the launcher.")
        return MemoryLimiter(MemoryStore(), self._worker_id, _record_of_abandoned)

    async def standings(
        self, account_id: str, counters: Sequence[Counter]
    ) -> tuple[Sequence[Standing], float]:
        """Where an account's counters stand, and the time. Raises StoreLost."""
        return await self.limiter.standings(account_id, counters), time.time()

    async def start(self) -> None:
        if self._tasks:
            return
        with suppress(StoreLost):  # which is no reason not to serve
            await self.limiter.start()
        # LiteLLM's own command ends without telling us.
        atexit.register(self._kept.hand_in)
        work = [
            self._drainer.run_forever(),
            self._ends.run_forever(),
            self._kept.run_forever(),
            self.eraser.run_forever(),
            self._keep_leases(),
            self.directory.poll_forever(),
        ]
        if self._pulse is not None:
            work.append(self._pulse.watch_forever())
        self._tasks = [asyncio.create_task(each) for each in work]

    async def stop(self) -> None:
        """Hands on what was settled, ends the background tasks, closes the clients."""
        await self.meter.finish(FLUSH_TIMEOUT_S)
        await self._ends.finish()
        await self._drainer.drain_all(FLUSH_TIMEOUT_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            await asyncio.wait_for(self._kept.look(is_last=True), FLUSH_TIMEOUT_S)
        except (DatabaseError, TimeoutError) as error:
            _log.error("%d records are left to the outbox (%s).", len(self._kept), type(error).__name__)
        self.directory.close()
        self._drainer.close()
        self._kept.close()
        self.eraser.close()
        atexit.unregister(self._kept.hand_in)
        if self._redis is not None:
            await self._redis.aclose()
        self._engine.dispose()

    async def _keep_leases(self) -> None:
        """Tells the other workers that this one lives, and ends the calls of those that do not."""
        while True:
            try:
                await self.limiter.renew()
                await self.limiter.reap()
                self._pending = await self.limiter.pending()
            except StoreLost:
                self._pending = None  # `Pulse` says so
            except Exception:
                _log.exception("Keeping the leases failed; it is tried again.")
            self.metrics.state(is_store_lost=self._breaker.is_open, pending=self._pending)
            await asyncio.sleep(RENEW_S)

    def health(self) -> Health:
        models = self.settings.catalogue.models
        return Health(
            is_stopping=self.is_stopping,
            redis_ok=self._pulse.is_ok if self._pulse is not None else None,
            database_silent_s=self.directory.silent_s,
            pending_records=self._pending,
            waiting_ends=self._ends.waiting,
            is_draining=not self._drainer.is_failing,
            ready_models=sum(model.is_ready for model in models),
            all_models=len(models),
        )


def _record_of_abandoned(memo: Mapping[str, Any], standings: Sequence[Standing]) -> Mapping[str, Any]:
    return abandoned(memo, windows=windows_of(standings)).to_json()


_built: list[App] = []


def build(config: Path | None = None) -> App:
    """This process's App, from its environment; built on the first call.

    Args:
        config: the YAML; None: `CONFIG_FILE_PATH`, as LiteLLM reads it, or the project's own.

    Raises:
        SettingsError, DatabaseError: with one sentence that says what is wrong.
    """
    if not _built:
        named = os.environ.get("CONFIG_FILE_PATH")
        settings = load(
            os.environ,
            reads_env_files=False,
            config=config or (Path(named) if named else None),
            is_demo="SCALIX_DEMO_URL" in os.environ,
            has_default_credentials=has_default_credentials,
        )
        _built.append(App(settings))
        runtime.provide(_built[0])
    return _built[0]
