"""The composition root: Settings → clients → Gateway; the only place where things are wired."""

import asyncio
import os
import time
from datetime import UTC, datetime
from pathlib import Path

from redis.asyncio import Redis

from scalix_callbacks.core.redact import Redactor
from scalix_callbacks.gateway import Gateway
from scalix_callbacks.ledger.accounts import Accounts
from scalix_callbacks.ledger.database import connect as connect_database
from scalix_callbacks.ledger.database import migrate
from scalix_callbacks.ledger.directory import Directory
from scalix_callbacks.proxy import logs, runtime
from scalix_callbacks.proxy.callbacks import ScalixCallbacks
from scalix_callbacks.proxy.credentials import has_default_credentials
from scalix_callbacks.proxy.internals import internal_fields
from scalix_callbacks.settings import Settings, SettingsError, load
from scalix_callbacks.settings.secrets import secrets
from scalix_callbacks.store.connection import Pulse
from scalix_callbacks.store.connection import connect as connect_redis
from scalix_callbacks.web.health import Health


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
        self._redis: Redis | None = connect_redis(environment.redis_url) if environment.redis_url else None
        self._pulse = Pulse(self._redis) if self._redis is not None else None
        self._tasks: list[asyncio.Task[None]] = []
        self.is_stopping = False

    async def start(self) -> None:
        if self._tasks:
            return
        self._tasks.append(asyncio.create_task(self.directory.poll_forever()))
        if self._pulse is not None:
            self._tasks.append(asyncio.create_task(self._pulse.watch_forever()))

    async def stop(self) -> None:
        """Ends the background tasks and closes the clients."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.directory.close()
        if self._redis is not None:
            await self._redis.aclose()
        self._engine.dispose()

    def health(self) -> Health:
        models = self.settings.catalogue.models
        return Health(
            is_stopping=self.is_stopping,
            redis_ok=self._pulse.is_ok if self._pulse is not None else None,
            database_silent_s=self.directory.silent_s,
            ready_models=sum(model.is_ready for model in models),
            all_models=len(models),
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
