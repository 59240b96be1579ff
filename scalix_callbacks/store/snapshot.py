"""A file with all that a Redis on this machine holds at one moment."""

import asyncio
from collections.abc import Awaitable, Callable

from redis.exceptions import RedisError

from scalix_callbacks.store.connection import Client
from scalix_callbacks.store.errors import StoreLost

POLL_S = 0.05
QUIET_POLLS = 40
"""So often nothing is being written, and there is no file: it will not come."""
TIMEOUT_S = 600.0


class SnapshotFailed(Exception):
    """Redis answers, and cannot write the file; its log says why."""


async def save_snapshot(
    redis: Client,
    is_there: Callable[[], bool],
    *,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> None:
    """Has Redis write its snapshot in the background; calls go on meanwhile.

    Args:
        is_there: whether its file (`dir`/`dbfilename`) exists; when this begins, it must not.

    Raises:
        SnapshotFailed: there is no such file after all.
        StoreLost: Redis does not answer.
    """
    quiet = 0
    try:
        # SCHEDULE: behind a rewrite of the append-only file, should there be one now.
        await redis.bgsave(schedule=True)
        for _ in range(int(TIMEOUT_S / POLL_S)):
            state = await redis.info("persistence")
            busy = state["rdb_bgsave_in_progress"] or state["aof_rewrite_in_progress"]
            # It gets its name only when all of it is written.
            if is_there() and not busy:
                return
            quiet = 0 if busy else quiet + 1
            if quiet > QUIET_POLLS:
                break
            await sleep(POLL_S)
    except (RedisError, OSError) as error:
        raise StoreLost("Redis does not answer.") from error
    raise SnapshotFailed("Redis did not write its snapshot.")
