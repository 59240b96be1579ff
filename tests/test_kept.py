"""What Redis loses is not lost: a worker keeps its records until the ledger has them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from scalix_callbacks.core.record import Outcome, abandoned, memo_of
from scalix_callbacks.core.routes import Endpoint
from scalix_callbacks.kept import HAND_IN_AFTER_S, LOOK_EVERY_S, MAX_KEPT, Kept
from scalix_callbacks.ledger.database import connect
from scalix_callbacks.ledger.usage_records import UsageRecords
from tests.clock import Clock
from tests.databases import make_tables


class Away:
    """A ledger that fails."""

    def missing(self, call_ids: Collection[str]) -> set[str]:
        raise OSError("away")

    def insert(self, records: Sequence[tuple[Mapping[str, Any], bool]]) -> int:
        raise OSError("away")


@pytest.fixture
def records(tmp_path):
    engine = connect(f"sqlite:///{tmp_path}/scalix.db")
    make_tables(engine)
    yield UsageRecords(engine)
    engine.dispose()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def kept(records, clock):
    kept = Kept(records, elapsed=clock)
    yield kept
    kept.close()


def given_up(call_id: str) -> dict[str, Any]:
    memo = memo_of(
        call_id=call_id,
        request_id="r",
        client_request_id=None,
        at=datetime(2030, 1, 31, tzinfo=UTC),
        user_id="ada",
        tier="free",
        endpoint=Endpoint.CHAT,
        model_requested="m",
        prompt_tokens=7,
        attempt=1,
        stream=False,
    )
    return abandoned(memo).to_json()


def record(call_id: str) -> dict[str, Any]:
    return {**given_up(call_id), "outcome": Outcome.OK.value, "completion_tokens": 5}


def outcomes(records: UsageRecords) -> list[tuple[str, str]]:
    return [(found["call_id"], found["outcome"]) for found in records.page()[0]]


async def test_what_the_ledger_has_is_forgotten(kept, records, clock):
    """It came by the outbox."""
    kept.keep(record("a"))
    records.insert([(record("a"), False)])
    clock.now_s = LOOK_EVERY_S
    await kept.look()

    assert 0 == len(kept)


async def test_the_outbox_has_time(kept, records, clock):
    """A record that is on its way is handed in only when it should have arrived long ago."""
    kept.keep(record("a"))
    clock.now_s = HAND_IN_AFTER_S - 0.1
    await kept.look()
    early = outcomes(records), len(kept)
    clock.now_s = HAND_IN_AFTER_S
    await kept.look()

    assert ([], 1) == early
    assert ([("a", "ok")], 0) == (outcomes(records), len(kept))


async def test_it_takes_the_place_of_a_call_given_up(kept, records, clock):
    """Its worker knows better; and the outbox, should it come after all, changes nothing."""
    records.insert([(given_up("a"), False)])
    kept.keep(record("a"))
    clock.now_s = HAND_IN_AFTER_S
    await kept.look()
    records.insert([(given_up("a"), False)])

    assert [("a", "ok")] == outcomes(records)


async def test_a_worker_that_ends_hands_in_everything(kept, records):
    """It will not be asked again."""
    for call_id in "abc":
        kept.keep(record(call_id))
    await kept.look(is_last=True)

    assert [("a", "ok"), ("b", "ok"), ("c", "ok")] == outcomes(records)


def test_a_process_that_just_exits_hands_in_everything(kept, records):
    """LiteLLM's own command does not tell us that it ends."""
    kept.keep(record("a"))
    kept.hand_in()
    kept.hand_in()

    assert [("a", "ok")] == outcomes(records)


async def test_while_the_ledger_is_away_everything_is_kept(clock):
    """It is asked again later."""
    kept = Kept(Away(), elapsed=clock)
    kept.keep(record("a"))
    clock.now_s = HAND_IN_AFTER_S
    with pytest.raises(OSError):
        await kept.look()
    kept.close()

    assert 1 == len(kept)


def test_there_is_a_bound(clock):
    """The oldest are left to the outbox."""
    kept = Kept(Away(), elapsed=clock)
    for i in range(MAX_KEPT + 5):
        kept.keep({"call_id": str(i)})
    kept.close()

    assert MAX_KEPT == len(kept)
