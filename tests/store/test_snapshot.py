"""A snapshot of a real Redis."""

from pathlib import Path

import pytest
from redis.asyncio import Redis

from scalix_callbacks.store.connection import connect
from scalix_callbacks.store.errors import StoreLost
from scalix_callbacks.store.snapshot import SnapshotFailed, save_snapshot


async def test_the_file_is_there_when_it_is_done(redis: Redis, clean_redis) -> None:
    """Whole: Redis gives it its name last."""
    file = Path(clean_redis.client.config_get("dir")["dir"]) / "dump.rdb"
    file.unlink(missing_ok=True)
    await redis.set("scalix:x", "1", ex=60)

    await save_snapshot(redis, file.exists)

    assert file.read_bytes().startswith(b"REDIS")
    assert b"scalix:x" in file.read_bytes()


async def test_a_snapshot_that_does_not_come_is_told(redis: Redis) -> None:
    """Redis answers, but no file appears: for one, the disk is full."""

    async def at_once(_: float) -> None:
        pass

    with pytest.raises(SnapshotFailed):
        await save_snapshot(redis, lambda: False, sleep=at_once)


async def test_a_redis_that_is_away_is_told(tmp_path: Path) -> None:
    """Nobody listens there."""
    nobody = connect(f"unix://{tmp_path}/nobody.sock")

    with pytest.raises(StoreLost):
        await save_snapshot(nobody, lambda: False)

    await nobody.aclose()
