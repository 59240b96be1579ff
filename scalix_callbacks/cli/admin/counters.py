"""The gateway's Redis, for the commands that reach into it."""

from pathlib import Path
from uuid import uuid4

from scalix_callbacks.cli.data_dir import DataDir
from scalix_callbacks.cli.embedded_redis import url_of_socket
from scalix_callbacks.cli.running import find_running
from scalix_callbacks.cli.start_error import StartError
from scalix_callbacks.settings import Settings
from scalix_callbacks.store.connection import connect
from scalix_callbacks.store.errors import StoreLost
from scalix_callbacks.store.limiter import RedisLimiter

TIMEOUT_S = 5.0


def redis_url(settings: Settings) -> str | None:
    """The Redis that the settings name, or that of the gateway that runs here; None: none runs."""
    if settings.environment.redis_url is not None:
        return settings.environment.redis_url
    try:
        running = find_running(DataDir(settings.data_dir))
    except StartError:
        return None
    if running is None or running.state is None or running.state.redis_socket is None:
        return None
    return url_of_socket(Path(running.state.redis_socket))


class Counters:
    """Of one command; each time it connects anew.

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
