"""In which order a person is erased, and what happens when a part of it cannot be reached."""

import asyncio
from datetime import UTC, datetime

import pytest

from scalix_callbacks.erasing import BATCH_PAUSE_S, DRAIN_TIMEOUT_S, LOOK_EVERY_S, Eraser
from scalix_callbacks.ledger.audit import Actor
from scalix_callbacks.ledger.erasures import Erasure
from scalix_callbacks.ledger.retention import BATCH
from scalix_callbacks.store.errors import StoreLost

ADA = Erasure("ada", "erased_1", datetime(2030, 1, 31, tzinfo=UTC))


class Desk:
    """All that an eraser works with; notes what is asked of it."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.is_store_lost = False
        self.old = [BATCH, 3, 0]
        self.under_way = [ADA]
        self.pauses: list[float] = []

    def begin(self, account_id: str, actor: Actor) -> Erasure:
        self.said.append(f"begin {account_id} {actor}")
        return ADA

    def rename(self, erasure: Erasure) -> int:
        self.said.append(f"rename {erasure.pseudonym}")
        return 5

    def open(self) -> list[Erasure]:
        return self.under_way

    def finish(self, erasure: Erasure) -> bool:
        self.said.append("finish")
        return True

    def forget_expired(self) -> int:
        self.said.append("forget")
        return 0

    async def reset(self, account_id: str) -> int:
        self.said.append(f"reset {account_id}")
        if self.is_store_lost:
            raise StoreLost("Redis does not answer.")
        return 1

    async def drain(self, timeout_s: float) -> bool:
        assert DRAIN_TIMEOUT_S == timeout_s
        self.said.append("drain")
        return True

    def clean(self) -> int:
        return self.old.pop(0)

    async def sleep(self, pause_s: float) -> None:
        self.pauses.append(pause_s)
        if len(self.pauses) == 3:
            raise asyncio.CancelledError
        await asyncio.sleep(0)

    async def forget_answers(self, account_id: str) -> None:
        self.said.append(f"forget answers of {account_id}")

    def eraser(self) -> Eraser:
        return Eraser(
            self,  # type: ignore[arg-type]
            self,
            self.drain,
            self,
            forget_answers=self.forget_answers,
            sleep=self.sleep,
        )


async def test_the_outbox_is_drained_before_the_records_are_renamed() -> None:
    """So that few are left to find the pseudonym on their way in."""
    desk = Desk()
    erased = await desk.eraser().erase("ada", Actor.USER)

    assert [
        "begin ada user",
        "drain",
        "rename erased_1",
        "reset ada",
        "forget answers of ada",
    ] == desk.said
    assert {
        "user_id": "ada",
        "erased": True,
        "pseudonym": "erased_1",
        "records": 5,
        "is_complete": True,
    } == erased.to_json("ada")


async def test_without_redis_it_is_not_finished() -> None:
    """The workers go on until the counters are gone."""
    desk = Desk()
    desk.is_store_lost = True
    eraser = desk.eraser()

    assert not (await eraser.erase("ada", Actor.CLI)).is_complete
    await eraser.look()
    assert "finish" not in desk.said
    desk.is_store_lost = False
    await eraser.look()
    assert [
        "drain",
        "rename erased_1",
        "reset ada",
        "forget answers of ada",
        "finish",
        "forget",
    ] == desk.said[-6:]


async def test_a_worker_goes_on_with_it_and_cleans_up() -> None:
    """In the background: a full batch is followed by another one after a pause."""
    desk = Desk()
    with pytest.raises(asyncio.CancelledError):
        await desk.eraser().run_forever()

    assert [LOOK_EVERY_S, BATCH_PAUSE_S, LOOK_EVERY_S] == desk.pauses
    assert [0] == desk.old
    assert "finish" in desk.said
