"""Records wait for the ledger until it has them."""

from tests.contract.world import REQUESTS_1H, World


async def test_a_record_comes_out_as_it_went_in(world: World) -> None:
    """Empty lists stay lists, nothing stays nothing, large and odd values stay whole."""
    record = {
        "call_id": "a",
        "empty_list": [],
        "empty_object": {},
        "nested": {"list": [[], {}], "null": None},
        "large": 2**53 + 1,
        "larger": 2**70,
        "ratio": 0.1 + 0.2,
        "moment_ms": 1_800_000_000_123,
        "text": 'ä\U0001f600 "quoted"\n\x00\ud800 -',
        "true": True,
    }
    await world.admit("a", REQUESTS_1H)
    await world.settle("a", record=record)

    (entry,) = await world.worker().read_outbox(10)
    assert record == entry.record
    assert (True, False) == (entry.is_counted, entry.is_late)


async def test_a_memo_comes_out_as_it_went_in(world: World) -> None:
    """It lies in the store between the two."""
    await world.admit("a\n-", REQUESTS_1H, worker="dead")
    await world.worker("alive").reap(now_s=2_000_000_000)

    (entry,) = await world.worker("alive").read_outbox(10)
    assert "a\n-" == entry.record["call_id"]


async def test_what_is_acknowledged_is_gone(world: World) -> None:
    """And nothing else; what is read and not acknowledged comes again."""
    for call in "abc":
        await world.admit(call, REQUESTS_1H, account=call)
        await world.settle(call)
    worker = world.worker()
    entries = await worker.read_outbox(10)
    await worker.acknowledge(entries[:2])
    await worker.acknowledge(entries[:2])

    assert entries[2:] == await worker.read_outbox(10)
    assert 1 == await worker.pending()
    await worker.acknowledge(entries)
    await worker.acknowledge([])
    assert [] == await worker.read_outbox(10)


async def test_no_more_is_read_than_wanted(world: World) -> None:
    """Over all shards together."""
    for number in range(20):
        await world.admit(f"call-{number}", REQUESTS_1H, account=f"account-{number}")
        await world.settle(f"call-{number}")

    assert 7 == len(await world.worker().read_outbox(7))
    assert 20 == await world.worker().pending()


async def test_what_one_account_leaves_is_in_order(world: World) -> None:
    """Oldest first."""
    for call in ("a", "b"):
        await world.admit(call, REQUESTS_1H)
    await world.settle("b")
    await world.settle("a")

    assert ["b", "a"] == [entry.record["call_id"] for entry in await world.worker().read_outbox(10)]
