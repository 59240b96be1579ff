"""Traces in a real Redis, and in a cluster: found by their ids, bounded, forgotten with their user."""

from typing import Any

import pytest

from scalix_callbacks.store import keys, traces
from scalix_callbacks.store.connection import Client, connect
from scalix_callbacks.store.errors import StoreLost
from scalix_callbacks.store.traces import Entry, ForgetsTraces, Traces
from tests.clock import Clock

PATIENCE_S = 5.0
NOON = 1_900_000_000.0
PLENTY = 64_000_000


def store(client: Client, clock: Clock | None = None, max_bytes: int = PLENTY, first: int = 0) -> Traces:
    return Traces(
        client, max_bytes=max_bytes, first_shard=first, timeout_s=PATIENCE_S, now_s=clock or Clock(NOON)
    )


def entry(name: str, user: str = "ada", client_id: str | None = None, **told: Any) -> Entry:
    return Entry(name, user, f"call-{name}", client_id, {"at": name, "request_id": name, **told})


async def found(kept: Traces, id: str) -> list[str]:
    return [trace["request_id"] for trace in await kept.find(id)]


async def test_a_trace_is_found_by_each_of_its_ids(client: Client) -> None:
    """That of the answer, that of the call, and the client's; whichever shard it lies in."""
    kept = store(client)
    await kept.keep([entry("r1", client_id="mine")])
    await kept.keep([entry("r2", "bob", client_id="mine"), entry("r3")])
    other_worker = store(client, first=40)

    assert [["r1"], ["r2"], ["r1", "r2"], []] == [
        await found(other_worker, id) for id in ("r1", "call-r2", "mine", "ada")
    ]


async def test_an_id_a_client_chose_opens_and_overwrites_nothing(client: Client) -> None:
    """Who sends another's request id has a trace of its own; the words of our own keys are no ids."""
    kept = store(client)
    await kept.keep([entry("r1", steps=["mine"])])
    await kept.keep([entry("r2", "eve", client_id="r1"), entry("r3", "eve", client_id="bytes")])

    assert ["mine"] == (await kept.find("r1"))[0]["steps"]
    assert [["r1", "r2"], ["r3"], [], []] == [
        await found(kept, id) for id in ("r1", "bytes", "", "x" * 10_000)
    ]


async def test_a_trace_ends_after_a_day(client: Client) -> None:
    """The oldest go as others come; Redis itself ends what nobody adds to."""
    clock = Clock(NOON)
    kept = store(client, clock)
    await kept.keep([entry("old")])
    for _ in range(keys.SHARDS - 1):
        await kept.keep([entry("filler")])
    clock.now_s += traces.TTL_S
    await kept.keep([entry("new")])
    ends_ms = [await client.pttl(key) for key in keys.traces_keys(0)]

    assert [[], ["new"]] == [await found(kept, id) for id in ("old", "new")]
    assert all(0 < end <= traces.TTL_S * 1_000 for end in ends_ms)


async def test_there_are_never_more_than_allowed(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """In number: the oldest make room."""
    monkeypatch.setattr(traces, "MAX_TRACES", 2)
    clock = Clock(NOON)
    for name in ("a", "b", "c"):
        await store(client, clock).keep([entry(name)])
        clock.now_s += 1
    kept = store(client, clock)

    assert [[], ["b"], ["c"]] == [await found(kept, name) for name in ("a", "b", "c")]
    assert 2 == await client.hlen(keys.traces_keys(0)[2])


async def test_they_never_take_more_than_allowed(client: Client) -> None:
    """In bytes, told by what really lies there; one that does not fit at all leaves nothing behind."""
    clock = Clock(NOON)
    room = keys.SHARDS * 1_000
    for name in "abcdef":
        await store(client, clock, room).keep([entry(name, text="x" * 300)])
        clock.now_s += 1
    stored = await client.hgetall(keys.traces_keys(0)[0])
    taken = int(stored.pop(b"bytes"))
    await store(client, clock, keys.SHARDS * 10).keep([entry("g", text="x" * 300)])

    assert taken == sum(map(len, stored.values())) and 600 < taken <= 1_000
    assert [] == [key async for key in client.scan_iter("*traces*")]


async def test_a_long_trace_loses_its_middle(client: Client) -> None:
    """And says how many steps it lost."""
    kept = store(client)
    steps = [{"step": "sent", "model": "m" * 100} for _ in range(200)]
    await kept.keep([entry("long", steps=steps)])
    (told,) = await kept.find("long")

    assert 200 == len(told["steps"]) + told["left_out"]
    assert 0 < len(told["steps"]) < 80


async def test_a_user_is_forgotten_and_nobody_else(client: Client) -> None:
    """Wherever the traces lie; a batch that is told twice is kept once."""
    kept = store(client)
    batch = [entry("r1"), entry("r2", "adalbert")]
    await kept.keep(batch)
    await store(client).keep(batch)
    await kept.keep([entry("r3"), Entry("r4", None, None, None, {"request_id": "r4"})])
    forgotten = await ForgetsTraces(client, PATIENCE_S).forget("ada")

    assert 2 == forgotten
    assert [[], ["r2"], [], ["r4"]] == [await found(kept, id) for id in ("r1", "r2", "r3", "r4")]
    assert await client.exists(*keys.traces_keys(1))  # r4's
    assert 1 == await ForgetsTraces(client, PATIENCE_S).forget("adalbert")
    assert 0 == await client.exists(*keys.traces_keys(0))


async def test_a_lost_redis_is_said() -> None:
    """Whoever asks is told, instead of an empty answer."""
    lost = connect("unix:///nowhere/at/all.sock")

    with pytest.raises(StoreLost):
        await store(lost).find("r1")
    with pytest.raises(StoreLost):
        await store(lost).keep([entry("r1")])
    await lost.aclose()
