"""Whether a Redis that is not ours can be used."""

import redis
import redis.exceptions

from scalix_callbacks.cli.start_error import StartError
from scalix_callbacks.core.redact import Redactor

TIMEOUT_S = 3.0
OLDEST = (6, 2)


def check_redis(url: str) -> None:
    """Asks the Redis at `url` for an answer and its version.

    Raises:
        StartError: no answer within 3 s, a refused login, or a version before 6.2.
    """
    place = Redactor(())(url).partition("?")[0]
    try:
        client = redis.Redis.from_url(
            url,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            retry=None,
            single_connection_client=True,
        )
        with client:
            client.ping()
            version = _version(client)
    except redis.AuthenticationError:
        raise StartError(
            f"REDIS_URL: Redis at {place} refuses the login. Correct the user or password."
        ) from None
    except redis.BusyLoadingError:
        raise StartError(
            f"REDIS_URL: Redis at {place} is still loading its data. Try again shortly."
        ) from None
    except redis.ResponseError as error:
        raise StartError(
            f"REDIS_URL: Redis at {place} refuses PING ({type(error).__name__}). Check its address and state."
        ) from None
    except (redis.RedisError, OSError, ValueError):
        raise StartError(
            f"REDIS_URL: no Redis answers at {place} within {TIMEOUT_S:.0f} s. Start it, correct the address,"
            " or unset it to use the embedded one."
        ) from None
    if version is not None and version < OLDEST:
        found, needed = (".".join(map(str, v)) for v in (version, OLDEST))
        raise StartError(f"REDIS_URL: Redis at {place} is {found}, {needed} is needed. Upgrade it.")


def _version(client: redis.Redis) -> tuple[int, ...] | None:
    """None where this user may not ask."""
    try:
        info = client.info("server")
    except redis.exceptions.NoPermissionError:
        return None
    parts = str(info.get("redis_version", "")).split(".")[:2]
    return tuple(int(part) for part in parts) if all(part.isdigit() for part in parts) else None
