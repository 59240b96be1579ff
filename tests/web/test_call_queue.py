"""Calls wait for their turn without holding anything, and nobody hangs."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from starlette.types import Message

from scalix_callbacks.core.call import Call
from scalix_callbacks.core.errors import ErrorCategory, GatewayError
from scalix_callbacks.core.tiers import DEFAULT_TIERS, TierTable
from scalix_callbacks.metrics import Metrics
from scalix_callbacks.metrics.labels import Names
from scalix_callbacks.web.answer import Answer
from scalix_callbacks.web.call_queue import CallQueue, ClientGone
from tests.metrics.support import read

TIERS = TierTable(
    tuple(
        # No test waits for it: it is refused at once, or has all the time there is.
        replace(tier, overload_wait_s=0.0 if name == "free" else 300.0)
        for name, tier in DEFAULT_TIERS.items()
    )
)


class Client:
    """One that has sent its request; it stays until it hangs up."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()
        self.sent: list[Message] = []
        self.answer = Answer(self._send, Call(request_id="r"))

    async def receive(self) -> Message:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        self.sent.append(message)

    async def answered(self) -> None:
        await self.answer({"type": "http.response.start", "status": 200, "headers": []})
        await self.answer({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})


def queue_of(most_in: int = 1, most_waiting: int = 10, **more: Any) -> CallQueue:
    return CallQueue(TIERS, most_in=most_in, most_waiting=most_waiting, **more)


def enters(queue: CallQueue, client: Client, tier: str = "pro") -> asyncio.Task[float]:
    return asyncio.ensure_future(queue.enter(tier, client.receive, client.answer))


async def steps(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_place_is_free_again_when_the_answer_begins() -> None:
    """An open stream takes none: the next is let in, in the order of tiers."""
    queue, (first, pro, premium) = queue_of(), [Client() for _ in range(3)]
    assert 0.0 == await queue.enter("free", first.receive, first.answer)
    waits = enters(queue, pro, "pro"), enters(queue, premium, "premium")
    await steps()
    assert [False, False] == [each.done() for each in waits]

    await first.answered()
    await waits[1]
    assert not waits[0].done()
    await premium.answered()
    await waits[0]
    assert 1 == queue.are_in
    pro.answer.end()  # no answer ever began
    assert 0 == queue.are_in


async def test_who_waited_in_vain_is_told_when_to_come_again() -> None:
    """503 OVERLOADED with a time and, for a free user, the way to go first."""
    queue, first, free = queue_of(), Client(), Client()
    await queue.enter("pro", first.receive, first.answer)
    with pytest.raises(GatewayError) as caught:
        await queue.enter("free", free.receive, free.answer)
    error = caught.value

    assert (ErrorCategory.OVERLOADED, 503, 1.0) == (error.category, error.status, error.retry_after_s)
    assert "[Upgrade to Pro](https://scalix.world/pro)" in error.message
    assert 1 == queue.are_in
    await first.answered()
    assert 0 == queue.are_in


async def test_when_the_room_is_full_the_lowest_goes() -> None:
    """A pro who waits is refused for a premium who comes; a further pro has no chance."""
    queue, clients = queue_of(most_waiting=1), [Client() for _ in range(4)]
    await queue.enter("pro", clients[0].receive, clients[0].answer)
    pro = enters(queue, clients[1])
    await steps()
    premium = enters(queue, clients[2], "premium")
    with pytest.raises(GatewayError):
        await pro
    with pytest.raises(GatewayError):
        await queue.enter("pro", clients[3].receive, clients[3].answer)
    await clients[0].answered()

    await premium


async def test_who_hangs_up_waits_no_longer() -> None:
    """Its turn goes to the next."""
    queue, (first, gone, next_one) = queue_of(), [Client() for _ in range(3)]
    await queue.enter("pro", first.receive, first.answer)
    waits, later = enters(queue, gone), enters(queue, next_one)
    await steps()
    gone.gone.set()
    with pytest.raises(ClientGone):
        await waits
    await first.answered()

    await later
    assert 1 == queue.are_in


def _nothing(queue: CallQueue, first: Client, client: Client) -> None:
    pass


def _let_in(queue: CallQueue, first: Client, client: Client) -> None:
    first.answer.end()


def _hang_up(queue: CallQueue, first: Client, client: Client) -> None:
    client.gone.set()


@pytest.mark.parametrize("happens", [_nothing, _let_in, _hang_up])
@pytest.mark.parametrize("before", range(4))
@pytest.mark.parametrize("after", range(5))
async def test_cancelled_anywhere_no_place_is_kept(
    happens: Callable[[CallQueue, Client, Client], None], before: int, after: int
) -> None:
    """A worker that stops cancels what waits, wherever it is."""
    queue, first, client = queue_of(), Client(), Client()
    await queue.enter("pro", first.receive, first.answer)
    task = enters(queue, client)
    await steps(before)
    happens(queue, first, client)
    await steps(after)
    task.cancel()
    (end,) = await asyncio.gather(task, return_exceptions=True)
    if isinstance(end, float):
        client.answer.end()
    first.answer.end()

    assert isinstance(end, float | ClientGone | asyncio.CancelledError)
    assert 0 == queue.are_in


async def test_waiting_is_counted() -> None:
    """Who waits now, how long it took, and who was refused; by tier."""
    metrics = Metrics(None, Names(tiers=tuple(TIERS)))
    times = iter([0.0, 3.0, 3.0, 3.0, 9.0, 9.0, 9.0, 9.0])
    queue, (first, pro, free) = (
        queue_of(counts=metrics.requests, elapsed=lambda: next(times)),
        [Client() for _ in "abc"],
    )
    await queue.enter("pro", first.receive, first.answer)
    task = enters(queue, pro)
    await steps()
    assert 1 == read(metrics)["scalix_calls_waiting", "pro"]
    first.answer.end()
    assert 3.0 == await task
    with pytest.raises(GatewayError):
        await queue.enter("free", free.receive, free.answer)
    found = read(metrics)

    assert ("scalix_calls_waiting", "pro") not in found
    assert 1 == found["scalix_overload_wait_seconds_count", "pro"]
    assert 1 == found["scalix_overload_refused_total", "free"]
