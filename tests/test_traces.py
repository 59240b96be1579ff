"""What a worker tells of requests once they are over: bounded, in slices, off their way."""

import asyncio
import json
from collections.abc import Sequence

import pytest

from scalix_callbacks import traces
from scalix_callbacks.core.call import Call
from scalix_callbacks.core.trace import Step, Trace
from scalix_callbacks.store.errors import StoreLost
from scalix_callbacks.store.traces import Entry
from scalix_callbacks.traces import BATCH, MAX_ROUNDS, Traced
from tests.core.test_trace import RECORD, admitted


class Kept:
    """A store that remembers; or one that is lost."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.written = asyncio.Event()
        self.is_lost = False

    async def keep(self, entries: Sequence[Entry]) -> None:
        if self.is_lost:
            raise StoreLost("x")
        self.batches.append([entry.request_id for entry in entries])
        self.written.set()


def over(number: int = 0, status: int = 200) -> Call:
    """A request that was settled and answered."""
    call = admitted()
    call.request_id = f"{number:032x}"
    call.record = {**RECORD}
    assert call.trace is not None
    call.trace.status = status
    call.note(Step.SETTLED)
    call.note(Step.ENDED)
    return call


async def test_requests_are_written_a_few_at_a_time() -> None:
    """So that no other request waits for them."""
    kept, lines = Kept(), list[str]()
    traced = Traced(kept, write_lines=lines.extend)
    for number in range(BATCH + 1):
        traced.over(over(number))
    await traced.write()

    assert [BATCH, 1] == [len(batch) for batch in kept.batches]
    assert f"{BATCH:032x}" == json.loads(lines[-1])["request_id"]


async def test_the_queue_has_a_bound(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The oldest go, and the log says how many."""
    monkeypatch.setattr(traces, "MAX_WAITING", 2)
    kept = Kept()
    traced = Traced(kept)
    for number in range(5):
        traced.over(over(number))
    await traced.write()

    assert [[f"{3:032x}", f"{4:032x}"]] == kept.batches
    assert "3 traces were dropped" in caplog.text


async def test_a_trace_waits_for_its_call_to_be_settled() -> None:
    """For a few rounds, and not for good: Redis may be away."""
    kept = Kept()
    traced = Traced(kept)
    late, never = admitted(), admitted()
    late.request_id, never.request_id = "1" * 32, "2" * 32
    traced.over(late)
    traced.over(never)
    await traced.write()
    assert [] == kept.batches
    late.note(Step.SETTLED)
    for _ in range(MAX_ROUNDS):
        await traced.write()

    assert [["1" * 32], ["2" * 32]] == kept.batches


async def test_a_share_of_what_went_well_and_all_that_did_not() -> None:
    """The sample is by the request's own id, so that every part of the gateway would choose the same."""
    kept = Kept()
    traced = Traced(kept, percent=0)
    traced.over(over(1))
    traced.over(over(2, status=502))
    await traced.write()

    assert [[f"{2:032x}"]] == kept.batches


async def test_a_lost_redis_loses_traces_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    """Said once; lines are written as before, and traces again once it is back."""
    kept, lines = Kept(), list[str]()
    traced = Traced(kept, write_lines=lines.extend)
    kept.is_lost = True
    for number in range(2):
        traced.over(over(number))
        await traced.write()
    kept.is_lost = False
    traced.over(over(2))
    await traced.write()

    assert (3, [[f"{2:032x}"]]) == (len(lines), kept.batches)
    assert 1 == caplog.text.count("Traces are not kept while Redis does not answer.")


async def test_a_key_in_the_wrong_place_is_taken_out() -> None:
    """Somebody sends a key as the model, or as the id of the request."""
    lines, kept = list[str](), list[Entry]()

    class Store:
        async def keep(self, entries: Sequence[Entry]) -> None:
            kept.extend(entries)

    traced = Traced(Store(), lambda text: text.replace("secret", "***"), write_lines=lines.extend)
    call = Call(request_id="1" * 32, asked_model="a secret", client_request_id="secret")
    call.trace = Trace(lambda: 0.0)
    traced.over(call)
    await traced.write()

    assert "a ***" == json.loads(lines[0])["model_requested"]
    assert ("***", "***") == (kept[0].client_request_id, kept[0].told["client_request_id"])


async def test_an_idle_worker_does_nothing() -> None:
    """It wakes for requests alone; then about once a second."""
    kept, waits = Kept(), asyncio.Event()
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        waits.set()

    traced = Traced(kept, sleep=sleep)
    task = asyncio.create_task(traced.run_forever())
    for _ in range(5):
        await asyncio.sleep(0)
    assert [] == slept
    traced.over(over())
    await waits.wait()
    await kept.written.wait()
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()

    assert ([1.0], 1) == (slept, len(kept.batches))


def test_nobody_wants_anything() -> None:
    """Then the edge notes nothing."""
    assert [False, True, True] == [
        Traced(None).is_wanted,
        Traced(None, is_debug=True).is_wanted,
        Traced(None, write_lines=print).is_wanted,
    ]
