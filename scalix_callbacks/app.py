"""The composition root: Settings → clients → Gateway; the only place where things are wired."""

import asyncio
import atexit
import logging
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import uuid4

from litellm.router import Router

from scalix_callbacks.access_log import AccessLog
from scalix_callbacks.adrift import Adrift
from scalix_callbacks.alerts import Alerts, KeyWatch, StateWatch, budget_used
from scalix_callbacks.auto_mode import AutoMode
from scalix_callbacks.context import Contexts
from scalix_callbacks.core.auto import AUTO_NAMES
from scalix_callbacks.core.breaker import Breaker, Breakers, HasBreakers
from scalix_callbacks.core.budget import passed_warning
from scalix_callbacks.core.caching import scopes_of
from scalix_callbacks.core.call import Call
from scalix_callbacks.core.limits import Counter, Standing
from scalix_callbacks.core.record import record_of_abandoned
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
from scalix_callbacks.ledger.expiring_keys import expiring_keys
from scalix_callbacks.ledger.export import Export
from scalix_callbacks.ledger.recent_calls import RecentCalls
from scalix_callbacks.ledger.retention import Retention
from scalix_callbacks.ledger.rollouts import Rollouts
from scalix_callbacks.ledger.sightings import Sightings
from scalix_callbacks.ledger.usage_records import UsageRecords
from scalix_callbacks.ledger.usage_sums import UsageSums
from scalix_callbacks.metering import Meter
from scalix_callbacks.metrics import Metrics
from scalix_callbacks.metrics.labels import Names
from scalix_callbacks.metrics.worker import State
from scalix_callbacks.proxy import logs, runtime
from scalix_callbacks.proxy.answer_cache import AnswerCache
from scalix_callbacks.proxy.auto_models import auto_models
from scalix_callbacks.proxy.callbacks import ScalixCallbacks
from scalix_callbacks.proxy.credentials import has_default_credentials
from scalix_callbacks.proxy.engine import engine_addresses
from scalix_callbacks.proxy.internals import internal_fields
from scalix_callbacks.proxy.resting import resting_models, resting_until
from scalix_callbacks.proxy.served import max_output_of
from scalix_callbacks.proxy.shared_cooldowns import share
from scalix_callbacks.rollouts import Flags
from scalix_callbacks.settings import Settings, SettingsError, load
from scalix_callbacks.settings.secrets import secrets
from scalix_callbacks.store.alert_claims import HostAlertClaims, RedisAlertClaims
from scalix_callbacks.store.answers import Answers, ForgetsAnswers
from scalix_callbacks.store.cluster import ClusterClient
from scalix_callbacks.store.connection import Pulse
from scalix_callbacks.store.connection import connect as connect_redis
from scalix_callbacks.store.cooldowns import RedisCooldowns
from scalix_callbacks.store.errors import StoreLost
from scalix_callbacks.store.keys import SHARDS, outbox_key, shard_of
from scalix_callbacks.store.limiter import RENEW_S, RedisLimiter
from scalix_callbacks.store.memory import MemoryLimiter
from scalix_callbacks.store.memory_store import MemoryStore
from scalix_callbacks.store.model_health import RedisModelHealth
from scalix_callbacks.store.rollout_evidence import RedisRolloutEvidence
from scalix_callbacks.store.sealing import Sealer
from scalix_callbacks.store.traces import ForgetsTraces, Traces
from scalix_callbacks.tallies import steady_numbers
from scalix_callbacks.traces import Traced
from scalix_callbacks.watch import Watch
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
        redactor = Redactor(secrets(settings.config, os.environ))
        logs.install(
            redactor,
            level="DEBUG" if environment.is_debug else environment.log_level,
            is_debug=environment.is_debug,
        )
        environment.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._engine = connect_database(environment.database_url)
        migrate(self._engine)
        self.accounts = Accounts(self._engine)
        self.directory = Directory(self.accounts, time.monotonic)
        self.watch = Watch(Sightings(self._engine, now=utc_now), trusted=environment.trusted_proxies)
        choosable = auto_models(settings.catalogue, settings.auto, settings.config)
        upstreams = engine_addresses(os.environ)
        self.gateway = Gateway(
            master_key=environment.master_key,
            tiers=settings.tiers,
            catalogue=settings.catalogue,
            callers=self.directory,
            internal_fields=internal_fields(),
            now=lambda: datetime.now(UTC),
            auto=choosable,
            contexts=Contexts(has_upstream=bool(upstreams)),
            watch=self.watch,
        )
        self.callbacks = ScalixCallbacks(settings.catalogue, upstreams)
        self._redis = connect_redis(environment.redis_url) if environment.redis_url else None
        # A connection of its own: a long answer must not hold up a limit.
        self._answers_redis = connect_redis(environment.redis_url) if environment.redis_url else None
        self.traces: Traces | None = None
        if self._answers_redis is not None and environment.trace_bytes:
            first = int(uuid4().hex[:2], 16) % SHARDS
            self.traces = Traces(self._answers_redis, max_bytes=environment.trace_bytes, first_shard=first)
        self._access_log = AccessLog(redactor) if environment.writes_access_log else None
        self.traced = Traced(
            self.traces,
            redactor,
            percent=environment.trace_percent,
            write_lines=None if self._access_log is None else self._access_log.write,
            is_debug=environment.is_debug,
        )
        self.answer_cache = self._answer_cache(environment.master_key, environment.cache_bytes)
        board = RedisModelHealth(self._redis) if self._redis is not None else None
        self.auto = AutoMode(choosable, board, settings.prices)
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
            forget_answers=self._forget_kept,
        )
        self._breaker = self._breakers()
        self._ends = Ends(self.limiter, self._breaker, told=self._drainer.wake)
        self._adrift = Adrift(self.limiter, self._breaker)
        self._kept = Kept(self.records)
        steady_numbers.install()
        self.metrics = Metrics(os.environ.get("PROMETHEUS_MULTIPROC_DIR"), _names(settings))
        self.meter = Meter(
            self.limiter,
            MemoryLimiter(MemoryStore(), self._worker_id, record_of_abandoned),
            self._ends,
            self._breaker,
            settings.tiers,
            workers=environment.workers,
            adrift=self._adrift,
            keep=self._kept.keep,
            ended=self.metrics.calls.ended,
            chain_of=self.gateway.fallback_options,
            max_output_of=max_output_of(settings.catalogue),
            prices=settings.prices,
            auto=self.auto,
            denied=self.metrics.calls.denied,
            shadowed=self.metrics.calls.shadowed,
            settled=self._settled,
        )
        self.alerts = Alerts(
            environment.alert_webhook,
            everywhere=RedisAlertClaims(self._redis) if self._redis is not None else None,
            here=HostAlertClaims(environment.data_dir / "alerts.json"),
            told=self.metrics.worker.alerted,
        )
        self._watch = StateWatch(self.alerts, time.monotonic)
        self._key_watch = KeyWatch(
            self.alerts, partial(expiring_keys, self._engine), environment.alert_key_days, now=utc_now
        )
        self.rollouts = Rollouts(self._engine, settings.rollout.flags, now=utc_now)
        self.flags = self._flags()
        self.recent_calls = RecentCalls(self._engine)
        self._router: Router | None = None
        self._pending: int | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.is_stopping = False

    def _limiter(self) -> RedisLimiter | MemoryLimiter:
        if self._redis is not None:
            return RedisLimiter(self._redis, self._worker_id, record_of_abandoned)
        _log.warning("No Redis is set: limits are this process's own. Set REDIS_URL, or use the launcher.")
        return MemoryLimiter(MemoryStore(), self._worker_id, record_of_abandoned)

    def _flags(self) -> Flags:
        triggers, evidence = self.settings.rollout.triggers, None
        if self._redis is not None:
            evidence = RedisRolloutEvidence(self._redis, minute_s=triggers.minute_s, minutes=triggers.minutes)
        return Flags(
            self.rollouts,
            evidence,
            self.rollouts.names,
            triggers,
            lowest_tier=self.settings.tiers.lowest.name,
            tell=self.alerts.tell,
            rolled_back=self.metrics.worker.rolled_back,
        )

    def _breakers(self) -> HasBreakers:
        """Of a cluster, one for each of its servers: the others' accounts are served when one is lost."""
        if isinstance(self._redis, ClusterClient):
            serves = self._redis.serves
            return Breakers(BREAKER_PAUSE_S, lambda account_id: serves(outbox_key(shard_of(account_id))))
        return Breaker(BREAKER_PAUSE_S)

    def attach(self, router: Router) -> None:
        """LiteLLM's router, once there is one: what rests in one worker rests in all."""
        self._router = router
        if self._redis is not None:
            share(router, RedisCooldowns(self._redis))

    async def resting(self) -> dict[str, float]:
        """The models of which a deployment rests, and until when (Unix time). Raises StoreLost."""
        if self._redis is None or self._router is None:
            return {}
        return resting_until(self._router, await RedisCooldowns(self._redis).read(time.time()))

    def _answer_cache(self, master_key: str, max_bytes: int) -> AnswerCache | None:
        if self._answers_redis is None or not max_bytes:
            return None
        return AnswerCache(Answers(self._answers_redis, Sealer(master_key), max_bytes=max_bytes))

    async def _forget_kept(self, account_id: str) -> None:
        if self._answers_redis is not None:
            scopes = scopes_of(account_id, self.settings.tiers)
            await ForgetsAnswers(self._answers_redis).forget(account_id, scopes)
            await ForgetsTraces(self._answers_redis).forget(account_id)

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
            self._adrift.run_forever(),
            self._kept.run_forever(),
            self.eraser.run_forever(),
            self._keep_leases(),
            self.directory.poll_forever(),
            self.auto.run_forever(),
            self.watch.run_forever(),
            self.traced.run_forever(),
            self.alerts.run_forever(),
            self._key_watch.run_forever(),
            self.flags.poll_forever(),
            self.flags.watch_forever(),
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
        with suppress(DatabaseError, TimeoutError):
            await asyncio.wait_for(self.watch.write(), FLUSH_TIMEOUT_S)
        self.watch.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.to_thread(self.directory.close), FLUSH_TIMEOUT_S)
        self._drainer.close()
        self._kept.close()
        self.eraser.close()
        self.flags.close()
        atexit.unregister(self._kept.hand_in)
        if self.answer_cache is not None:
            await self.answer_cache.written()
        with suppress(TimeoutError):
            await asyncio.wait_for(self.traced.write(is_last=True), FLUSH_TIMEOUT_S)
        if self._access_log is not None:
            self._access_log.close()
        for redis in (self._redis, self._answers_redis):
            if redis is not None:
                await redis.aclose()
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
            state = await self._state()
            self.metrics.worker.state(state)
            self._watch.look(
                is_store_lost=state.is_store_lost,
                database_silent_s=state.database_silent_s,
                pending=state.pending,
            )
            await asyncio.sleep(RENEW_S)

    def _settled(self, call: Call, nano_usd: int, took_s: float) -> None:
        self.metrics.calls.settled(took_s)
        if call.settled is None or call.caller is None or not nano_usd:
            return
        for standing in passed_warning(call.settled.standings, nano_usd):
            self.metrics.calls.budget_warned(call)
            self.alerts.tell(budget_used(call.caller.id, call.caller.tier, standing))

    async def _state(self) -> State:
        pulse, router = self._pulse, self._router
        resting = None
        if self._redis is not None and router is not None:
            with suppress(StoreLost):
                resting = resting_models(router, await RedisCooldowns(self._redis).read(time.time()))
        return State(
            # The breaker alone stays open until the next call.
            is_store_lost=(pulse is not None and not pulse.is_ok)
            or (self._breaker.is_open and self._pending is None),
            is_ledger_failing=self._drainer.is_failing,
            pending=self._pending,
            waiting_ends=self._ends.waiting,
            kept_records=len(self._kept),
            redis_ping_s=None if pulse is None else pulse.took_s,
            database_silent_s=self.directory.silent_s,
            models_up={name: not row.is_down for name, row in self.auto.health.items()},
            resting=resting,
        )

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


def _names(settings: Settings) -> Names:
    """What metrics may name."""
    catalogue, tiers = settings.catalogue, settings.tiers
    limits, shadow_limits = (
        [
            (tier.name, limit.unit, limit.window_s)
            for tier in tiers.values()
            for limit in tier.limits
            if limit.is_shadow is is_shadow
        ]
        for is_shadow in (False, True)
    )
    return Names(
        tiers=tiers.names,
        limits=limits,
        shadow_limits=shadow_limits,
        models=[model.name for model in catalogue.models],
        flags=[flag.name for flag in settings.rollout.flags],
        listed_as=lambda name: name if name in AUTO_NAMES else catalogue.listed_as(name),
    )


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
