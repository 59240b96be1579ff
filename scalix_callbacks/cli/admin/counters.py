"""The gateway's Redis, for the commands that reach into it."""

from collections.abc import Iterable
from pathlib import Path
from uuid import uuid4

from scalix_callbacks.cli.data_dir import DataDir
from scalix_callbacks.cli.embedded_redis import url_of_socket
from scalix_callbacks.cli.running import Running, find_running
from scalix_callbacks.cli.start_error import StartError
from scalix_callbacks.core.caching import scopes_of
from scalix_callbacks.settings import Settings
from scalix_callbacks.store.answers import ForgetsAnswers
from scalix_callbacks.store.connection import connect
from scalix_callbacks.store.errors import StoreLost
from scalix_callbacks.store.limiter import RedisLimiter
from scalix_callbacks.store.traces import ForgetsTraces

TIMEOUT_S = 5.0


def redis_url(settings: Settings) -> str | None:
    """The Redis that the settings name, or that of the gateway that runs here; None: none runs."""
    if settings.environment.redis_url is not None:
        return settings.environment.redis_url
    running = _running(settings)
    if running is None or running.state is None or running.state.redis_socket is None:
        return None
    return url_of_socket(Path(running.state.redis_socket))


def is_running(settings: Settings) -> bool:
    """Whether a gateway runs on the data directory, as far as this user may see."""
    return _running(settings) is not None


def _running(settings: Settings) -> Running | None:
    try:
        return find_running(DataDir(settings.data_dir))
    except StartError:
        return None


class GatewayCounters:
    """The counters of `store.limiter`, as one command reaches them; each time it connects anew.

    To make them anew from the ledger, `rebuild` uses `store.counters.RedisCounters`.

    Args:
        url: None: no gateway runs, and its Redis neither.
    """

    def __init__(self, url: str | None) -> None:
        self._url = url

    async def reset(self, account_id: str) -> int:
        """Raises StoreLost."""
        if self._url is None:
            raise StoreLost("The embedded Redis does not run.")
        redis = connect(self._url)
        try:
            limiter = RedisLimiter(redis, f"admin-{uuid4().hex}", lambda memo, _: memo, timeout_s=TIMEOUT_S)
            return await limiter.reset(account_id)
        finally:
            await redis.aclose()


async def forget_answers(url: str | None, account_id: str, tiers: Iterable[str]) -> int:
    """Takes the account's traces and cached answers out of the gateway's Redis; raises StoreLost."""
    if url is None:
        raise StoreLost("The embedded Redis does not run.")
    redis = connect(url)
    try:
        await ForgetsTraces(redis, TIMEOUT_S).forget(account_id)
        return await ForgetsAnswers(redis, TIMEOUT_S).forget(account_id, scopes_of(account_id, tiers))
    finally:
        await redis.aclose()
