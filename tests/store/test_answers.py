"""Cached answers in a real Redis, and in a cluster: found again, bounded, and forgotten."""

import pytest

from scalix_callbacks.store import keys
from scalix_callbacks.store.answers import Answers, ForgetsAnswers, Kept
from scalix_callbacks.store.connection import Client, connect
from scalix_callbacks.store.errors import StoreLost
from scalix_callbacks.store.sealing import Sealer
from tests.clock import Clock

PATIENCE_S = 5.0
NOON = 1_900_000_000.0
VALUE = {"timestamp": NOON, "response": '{"choices": ["the words of the answer"]}'}
PLENTY = 64_000_000


def answers(client: Client, clock: Clock, max_bytes: int = PLENTY, secret: str = "s" * 20) -> Answers:
    return Answers(client, Sealer(secret), max_bytes=max_bytes, timeout_s=PATIENCE_S, now_s=clock)


async def test_an_answer_is_found_again(client: Client) -> None:
    """As it was, with who made it and when; nothing of it can be read in Redis."""
    store = answers(client, Clock(NOON))
    assert await store.keep("own:ada", "ada", "r", VALUE, "free-a", 60)
    found = await store.find("own:ada", "r")
    held = b"".join((await client.hgetall(keys.answers_key("own:ada"))).values())

    assert Kept(NOON, "free-a", VALUE) == found
    assert b"words" not in held and b"free-a" not in held


async def test_what_is_anothers_is_not_found(client: Client) -> None:
    """Another scope, another question, another operator's key: a miss."""
    store = answers(client, Clock(NOON))
    await store.keep("own:ada", "ada", "r", VALUE, None, 60)
    rotated = answers(client, Clock(NOON), secret="t" * 20)

    assert await store.find("own:bob", "r") is None
    assert await store.find("own:ada", "q") is None
    assert await rotated.find("own:ada", "r") is None


async def test_an_answer_that_was_moved_is_not_read(client: Client) -> None:
    """Whoever can write into Redis cannot give a user another's answer."""
    store = answers(client, Clock(NOON))
    await store.keep("own:ada", "ada", "r", VALUE, None, 60)
    await store.keep("own:bob", "bob", "r", VALUE, None, 60)
    ((mine, sealed),) = [
        (field, value)
        for field, value in (await client.hgetall(keys.answers_key("own:ada"))).items()
        if field.startswith(keys.digest("own:ada").encode())
    ]
    bobs = mine.replace(keys.digest("own:ada").encode(), keys.digest("own:bob").encode())
    await client.hset(keys.answers_key("own:bob"), bobs, sealed)

    assert await store.find("own:bob", "r") is None


async def test_an_answer_ends(client: Client) -> None:
    """After its own time, after an hour at most, and sooner for who wants it younger."""
    clock = Clock(NOON)
    store = answers(client, clock)
    await store.keep("own:ada", "ada", "short", VALUE, None, 60)
    await store.keep("own:ada", "ada", "long", VALUE, None, 99_999)
    clock.now_s += 59

    assert await store.find("own:ada", "short") is not None
    assert await store.find("own:ada", "short", max_age_s=58) is None
    clock.now_s += 1
    assert await store.find("own:ada", "short") is None
    clock.now_s = NOON + 3_599
    assert await store.find("own:ada", "long") is not None
    clock.now_s = NOON + 3_600
    assert await store.find("own:ada", "long") is None
    lives = [await client.pttl(key) for key in keys.answers_keys("own:ada")]
    assert all(0 < life <= 3_600_000 for life in lives)


async def test_all_answers_have_a_bound(client: Client) -> None:
    """What ends first makes room; the sum is what lies there, to the byte."""
    clock = Clock(NOON)
    store = answers(client, clock, max_bytes=64 * 3_000)
    for number in range(20):
        clock.now_s += 1
        assert await store.keep("own:ada", "ada", f"r{number}", "x" * 500, None, 60)
    held = await client.hgetall(keys.answers_key("own:ada"))
    told = int(held.pop(b"bytes"))

    assert told == sum(map(len, held.values())) <= 3_000
    assert len(held) == await client.zcard(keys.answers_keys("own:ada")[1]) == 5
    assert await store.find("own:ada", "r19") is not None
    assert await store.find("own:ada", "r0") is None


async def test_there_are_only_so_many_answers(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """However small they are; one kept again is one."""
    monkeypatch.setattr("scalix_callbacks.store.answers.MAX_ANSWERS", 3)
    store = answers(client, Clock(NOON))
    for number in (0, 1, 2, 2, 2, 3):
        await store.keep("own:ada", "ada", f"r{number}", "x", None, 60 + number)

    assert [None, True, True, True] == [
        await store.find("own:ada", f"r{number}") and True for number in range(4)
    ]


async def test_what_has_ended_makes_room_first(client: Client) -> None:
    """It is no longer counted."""
    clock = Clock(NOON)
    store = answers(client, clock, max_bytes=64 * 3_000)
    await store.keep("own:ada", "ada", "old", "x" * 2_000, None, 1)
    clock.now_s += 2
    await store.keep("own:ada", "ada", "new", "x" * 2_000, None, 60)

    assert 1 == await client.zcard(keys.answers_keys("own:ada")[1])


async def test_a_long_answer_is_not_kept(client: Client) -> None:
    """Neither longer than one may be, nor than all may be."""
    store = answers(client, Clock(NOON))

    assert not await store.keep("own:ada", "ada", "r", "x" * 256_000, None, 60)
    assert not await answers(client, Clock(NOON), 64 * 100).keep("own:ada", "ada", "r", "x" * 200, None, 60)
    assert 0 == await client.exists(*keys.answers_keys("own:ada"))


async def test_an_account_is_forgotten_with_all_it_asked(client: Client) -> None:
    """In its own scope and in those it shared; what others asked stays, also in the same shard."""
    store = answers(client, Clock(NOON))
    for author in ("ada", "bob"):
        await store.keep(f"own:{author}", author, "r", VALUE, None, 60)
        await store.keep("tier:free", author, f"r-{author}", VALUE, None, 60)
    forgets = ForgetsAnswers(client, PATIENCE_S)
    count = await forgets.forget("ada", ("own:ada", "tier:free", "tier:pro"))
    again = await forgets.forget("ada", ("own:ada", "tier:free", "tier:pro"))

    assert (2, 0) == (count, again)
    assert await store.find("own:ada", "r") is None
    assert await store.find("tier:free", "r-ada") is None
    assert await store.find("own:bob", "r") is not None
    assert await store.find("tier:free", "r-bob") is not None
    assert 0 == await client.exists(*keys.answers_keys("own:ada")) or keys.shard_of("own:ada") in {
        keys.shard_of("own:bob"),
        keys.shard_of("tier:free"),
    }


async def test_without_redis_the_store_is_lost() -> None:
    """Which callers take for a miss."""
    gone = connect("unix:///nowhere/redis.sock")
    store = answers(gone, Clock(NOON))

    with pytest.raises(StoreLost):
        await store.find("own:ada", "r")
    with pytest.raises(StoreLost):
        await store.keep("own:ada", "ada", "r", VALUE, None, 60)
    await gone.aclose()
