"""The time-out of whoever asks Redis: exact enough, and blind to what this process itself held up."""

import asyncio
import time

import pytest
from redis.asyncio import Redis

from scalix_callbacks.store.patience import Patience


async def test_it_ends_what_takes_too_long():
    """As TimeoutError, in about the time given."""
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        async with Patience(0.1):
            await asyncio.Event().wait()

    assert 0.1 <= time.monotonic() - began < 5


async def test_an_answer_that_came_in_time_counts_however_busy_the_loop_was(redis: Redis):
    """LiteLLM holds the event loop up for a second when it imports something for the first time."""
    await redis.ping()
    async with Patience(0.1):
        asked = asyncio.create_task(redis.ping())
        await asyncio.sleep(0)
        time.sleep(0.5)  # noqa: ASYNC251  # that the loop is held up is what is tested

        assert await asked


async def test_a_cancelled_task_is_cancelled():
    """Not timed out."""
    task = asyncio.create_task(_wait())
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def _wait() -> None:
    async with Patience(5):
        await asyncio.Event().wait()
