"""The one connection of the hot path, against a real Redis."""

import asyncio

import pytest
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError, ResponseError

from scalix_callbacks.store import lane
from scalix_callbacks.store.connection import Client, connect
from scalix_callbacks.store.lane import MAX_SILENCES


async def test_each_gets_its_own_answer(redis: Client) -> None:
    """Many ask in one moment; none is given the answer of another."""
    told = await asyncio.gather(*(redis.lane.say("ECHO", number) for number in range(500)))

    assert [str(number).encode() for number in range(500)] == told


@pytest.mark.parametrize("word", ["", "two\r\nlines", "Grüße 🦊", b"\x00\xff\r\n", -7, 2**53 - 1])
async def test_every_kind_of_word_arrives(redis: Client, word: str | int | bytes) -> None:
    """Also with line ends, and longer in bytes than in letters."""
    expected = word if isinstance(word, bytes) else str(word).encode()

    assert [expected, b"next"] == [await redis.lane.say("ECHO", each) for each in (word, "next")]


async def test_an_error_is_told_to_whom_it_belongs(redis: Client) -> None:
    """What Redis refuses one does not touch the next."""
    refused, told = await asyncio.gather(
        redis.lane.say("NO-SUCH-COMMAND"), redis.lane.say("ECHO", "b"), return_exceptions=True
    )

    assert isinstance(refused, ResponseError)
    assert b"b" == told


async def test_who_stops_waiting_leaves_the_others_alone(redis: Client) -> None:
    """The answer of a call that was cancelled is passed over."""
    await redis.lane.say("PING")
    leaving = asyncio.create_task(redis.lane.say("ECHO", "a"))
    staying = asyncio.create_task(redis.lane.say("ECHO", "b"))
    await asyncio.sleep(0)
    leaving.cancel()

    assert b"b" == await staying
    assert leaving.cancelled()


async def test_a_lost_connection_is_opened_again(redis: Client) -> None:
    """At most the commands that met the loss fail; then another one answers."""
    number = await redis.lane.say("CLIENT", "ID")
    await redis.execute_command("CLIENT", "KILL", "ID", number)

    assert number != await _next_number(redis, number)


async def test_a_connection_is_opened_also_when_nobody_waits_for_it_any_more(
    redis: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a busy process that takes longer than one call has patience for; the next one finds it open."""
    may_connect, begun = asyncio.Event(), 0
    connect_as_ever = AbstractConnection.connect

    async def slowly(connection: AbstractConnection) -> None:
        nonlocal begun
        begun += 1
        await may_connect.wait()
        await connect_as_ever(connection)  # type: ignore[no-untyped-call]  # redis-py's

    monkeypatch.setattr(AbstractConnection, "connect", slowly)
    for _ in range(2):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await redis.lane.say("PING")
    may_connect.set()

    assert (b"PONG", 1) == (await redis.lane.say("PING"), begun)


async def test_a_connection_that_is_not_taken_is_given_up(
    redis: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way to Redis may be dead; the next call tries another one."""
    connect_as_ever, never = AbstractConnection.connect, asyncio.Event()

    async def waits(connection: AbstractConnection) -> None:
        await never.wait()

    monkeypatch.setattr(lane, "CONNECT_S", 0.05)
    monkeypatch.setattr(AbstractConnection, "connect", waits)
    with pytest.raises(RedisError, match="does not take a connection"):
        await redis.lane.say("PING")
    monkeypatch.setattr(AbstractConnection, "connect", connect_as_ever)

    assert b"PONG" == await redis.lane.say("PING")


async def test_a_client_can_be_closed_while_it_connects(
    redis: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits is told so, and nothing goes on behind."""
    begun = asyncio.Event()

    async def waits(connection: AbstractConnection) -> None:
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(AbstractConnection, "connect", waits)
    waiting = asyncio.create_task(redis.lane.say("PING"))
    await begun.wait()
    await redis.lane.aclose()

    with pytest.raises(RedisError, match="was closed"):
        await waiting


async def test_without_redis_it_says_so_at_once() -> None:
    """There is no waiting for a server that is not there."""
    client = connect("unix:///nowhere/redis.sock")

    with pytest.raises((RedisError, OSError)):
        await client.lane.say("PING")
    await client.aclose()


async def test_a_silent_redis_is_given_up(redis: Client) -> None:
    """When nobody gets an answer any more, the connection is replaced."""
    number = await redis.lane.say("CLIENT", "ID")
    for command in [("BLPOP", "nothing", 0), *[("PING",)] * (MAX_SILENCES - 1)]:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await redis.lane.say(*command)

    assert number != await redis.lane.say("CLIENT", "ID")


async def test_a_slow_answer_is_no_reason_to_give_up(redis: Client) -> None:
    """Those who stopped waiting before it do not add up with those after it."""
    number = await redis.lane.say("CLIENT", "ID")
    for _ in range(MAX_SILENCES + 1):
        leaving = asyncio.create_task(redis.lane.say("PING"))
        await asyncio.sleep(0)
        leaving.cancel()
        await redis.lane.say("PING")

    assert number == await redis.lane.say("CLIENT", "ID")


async def _next_number(client: Client, number: int) -> int:
    """Of the connection that follows the one with `number`."""
    async with asyncio.timeout(5):
        while True:
            try:
                told: int = await client.lane.say("CLIENT", "ID")
            except (RedisError, OSError):
                continue
            if told != number:
                return told
