"""When a worker drains, and what it does while it cannot."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from scalix_callbacks import drain
from scalix_callbacks.drain import BUSY_PAUSE_S, MAX_BATCH, Drainer


@dataclass(frozen=True)
class Entry:
    record: Mapping[str, Any] = field(default_factory=dict)
    is_counted: bool = True
    is_late: bool = False


class Desk:
    """An outbox and a ledger in one, and the clock between two looks at them.

    Attributes:
        waiting: how many entries lie in the outbox.
        away: what the next tries raise; an empty one gets through.
    """

    def __init__(self, waiting: int = 0, away: Sequence[Exception | None] = ()) -> None:
        self.waiting = waiting
        self.has_looked, self.is_drained = asyncio.Event(), asyncio.Event()
        self.away = [*away]
        self.wake: Callable[[], None] = lambda: None
        self.pauses: list[float] = []
        self.inserted: list[tuple[Mapping[str, Any], bool]] = []
        self.stop_after = 100

    async def read_outbox(self, limit: int) -> list[Entry]:
        self.has_looked.set()
        return [Entry()] * min(self.waiting, limit)

    def insert(self, records: Sequence[tuple[Mapping[str, Any], bool]]) -> int:
        if self.away and (error := self.away.pop(0)) is not None:
            raise error
        self.inserted += records
        return len(records)

    async def acknowledge(self, entries: list[Entry]) -> None:
        self.waiting -= len(entries)
        self.is_drained.set()

    async def sleep(self, pause_s: float) -> None:
        self.pauses.append(pause_s)
        if len(self.pauses) == self.stop_after:
            raise asyncio.CancelledError
        await asyncio.sleep(0)


async def run(desk: Desk, pauses: int, chance: float = 0.5) -> Drainer[Entry]:
    """Until it has paused so many times."""
    desk.stop_after = pauses
    drainer = Drainer(desk, desk, sleep=desk.sleep, chance=lambda: chance)
    with pytest.raises(asyncio.CancelledError):
        await drainer.run_forever()
    drainer.close()
    return drainer


async def test_a_backlog_is_drained_without_a_pause() -> None:
    """Full batches follow each other; what is left over may gather, and an empty outbox is left in peace."""
    desk = Desk(waiting=2 * MAX_BATCH + 1)
    await run(desk, 3)

    assert [0.0, 0.0, BUSY_PAUSE_S] == desk.pauses
    assert 2 * MAX_BATCH + 1 == len(desk.inserted)


@pytest.mark.parametrize(("chance", "pause_s"), [(0.0, 0.25), (0.5, 0.5), (1.0, 0.75)])
async def test_workers_do_not_all_look_at_once(chance: float, pause_s: float) -> None:
    """Each pause is drawn anew, around the same mean."""
    desk = Desk(waiting=1)
    await run(desk, 1, chance)

    assert [pause_s] == desk.pauses


@asynccontextmanager
async def idle(desk: Desk) -> AsyncIterator[None]:
    """Its drainer has looked and found nothing."""
    drainer = Drainer(desk, desk, sleep=desk.sleep, chance=lambda: 0.5)
    desk.wake = drainer.wake
    task = asyncio.create_task(drainer.run_forever())
    await desk.has_looked.wait()
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    drainer.close()


async def test_an_empty_outbox_is_left_in_peace_until_a_record_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then it is drained soon, with what else comes meanwhile."""
    monkeypatch.setattr(drain, "LOOK_EVERY_S", 3_600.0)
    desk = Desk()
    async with idle(desk):
        desk.waiting = 1
        desk.wake()
        async with asyncio.timeout(10):
            await desk.is_drained.wait()
        for _ in range(50):  # as often as it may look in that time
            await asyncio.sleep(0)

    assert [BUSY_PAUSE_S] * 2 == desk.pauses
    assert 1 == len(desk.inserted)


async def test_what_comes_while_it_looks_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """It had found nothing, and was told before it rested."""
    monkeypatch.setattr(drain, "LOOK_EVERY_S", 3_600.0)

    class Late(Desk):
        async def read_outbox(self, limit: int) -> list[Entry]:
            found = await super().read_outbox(limit)
            if not self.inserted and not found:
                self.waiting = 1
                self.wake()
            return found

    desk = Late()
    async with idle(desk), asyncio.timeout(10):
        await desk.is_drained.wait()


async def test_records_of_a_dead_worker_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody tells of them, so everybody looks now and then."""
    monkeypatch.setattr(drain, "LOOK_EVERY_S", 0.01)
    desk = Desk()
    async with idle(desk):
        desk.waiting = 1
        async with asyncio.timeout(10):
            await desk.is_drained.wait()

    assert 1 == len(desk.inserted)


async def test_an_outage_is_told_once_and_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    """Longer and longer, up to five seconds; nothing is lost, and its end is told, too."""
    desk = Desk(waiting=3, away=[OSError("no route")] * 7)
    drainer = await run(desk, 8)

    assert [1.0, 2.0, 4.0, 5.0, 5.0, 5.0, 5.0, BUSY_PAUSE_S] == desk.pauses
    assert (3, 0, False) == (len(desk.inserted), desk.waiting, drainer.is_failing)
    assert [
        (
            logging.ERROR,
            "Records wait in the outbox, the ledger does not get them (OSError: no route)."
            " It is tried again.",
        ),
        (logging.WARNING, "The ledger gets records again."),
    ] == [(line.levelno, line.getMessage()) for line in caplog.records]


async def test_the_next_outage_is_told_again(caplog: pytest.LogCaptureFixture) -> None:
    """And begins with a short pause."""
    desk = Desk(waiting=MAX_BATCH + 1, away=[OSError(), OSError(), None, OSError()])
    drainer = await run(desk, 4)

    assert [1.0, 2.0, 0.0, 1.0] == desk.pauses
    assert drainer.is_failing
    assert ["ERROR", "WARNING", "ERROR"] == [line.levelname for line in caplog.records]


async def test_no_failure_ends_it() -> None:
    """Not even a bug; only cancelling does."""
    desk = Desk(waiting=1, away=[RuntimeError("a bug"), KeyError("another")])
    await run(desk, 3)

    assert (1, 0) == (len(desk.inserted), desk.waiting)


async def test_at_the_end_all_is_drained() -> None:
    """A stop waits for the outbox, also over a short outage."""
    desk = Desk(waiting=2 * MAX_BATCH + 1, away=[None, OSError()])
    drainer = Drainer(desk, desk, sleep=desk.sleep, chance=lambda: 0.5)

    assert await drainer.drain_all(30)
    assert (0, [1.0]) == (desk.waiting, desk.pauses)
    drainer.close()


async def test_an_end_does_not_wait_for_ever() -> None:
    """What cannot be drained in time stays in the outbox for the next start."""
    desk = Desk(waiting=1, away=[OSError()] * 1_000_000)
    desk.stop_after = -1
    drainer = Drainer(desk, desk, sleep=desk.sleep)

    assert not await drainer.drain_all(0.05)
    assert 1 == desk.waiting
    drainer.close()


async def test_one_batch_at_a_time() -> None:
    """The last drain of a stop and the one in the background do not read the same entries twice."""
    desk = Desk(waiting=MAX_BATCH)
    drainer = Drainer(desk, desk)

    assert [0, MAX_BATCH] == sorted(await asyncio.gather(drainer.drain_once(), drainer.drain_once()))
    assert MAX_BATCH == len(desk.inserted)
    drainer.close()


async def test_the_settling_has_the_last_word() -> None:
    """What it counted is what is recorded; the rest of a record is passed on as it is."""

    class Two(Desk):
        async def read_outbox(self, limit: int) -> list[Entry]:
            return [Entry({"call_id": "a", "requests_counted": 1}, False, True), Entry({"call_id": "b"})]

    desk = Two()
    drainer = Drainer(desk, desk)
    await drainer.drain_once()

    assert [
        ({"call_id": "a", "requests_counted": 0}, True),
        ({"call_id": "b", "requests_counted": 1}, False),
    ] == desk.inserted
    drainer.close()
