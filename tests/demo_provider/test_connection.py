"""Noticing at once that the client hung up."""

import asyncio

import pytest
from starlette.types import Message

from scalix_callbacks.demo_provider.connection import BodyTooLarge, Connection, HungUp


class Client:
    """The far end of a connection: it sends `parts` as the body, and may hang up."""

    def __init__(self, *parts: bytes) -> None:
        self.has_hung_up = asyncio.Event()
        self.is_reading = asyncio.Event()
        self.is_reading.set()
        self.received = b""
        self._coming = list(parts)

    async def receive(self) -> Message:
        if self._coming:
            part = self._coming.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(self._coming)}
        await self.has_hung_up.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        await self.is_reading.wait()
        self.received += message.get("body", b"")


async def test_the_body_is_read_whole() -> None:
    """A body that comes in parts is one body."""
    client = Client(b"one ", b"", b"two")

    assert b"one two" == await Connection(client.receive, client.send).read_body(limit=7)


async def test_a_body_above_the_limit_is_read_to_its_end() -> None:
    """The refusal can be sent on a connection that has nothing more to say."""
    client = Client(b"one ", b"two", b"")
    with pytest.raises(BodyTooLarge):
        await Connection(client.receive, client.send).read_body(limit=6)
    client.has_hung_up.set()

    assert {"type": "http.disconnect"} == await client.receive()


async def test_a_client_that_leaves_while_its_body_is_read() -> None:
    """Half a body is no request."""
    client = Client()
    client.has_hung_up.set()

    with pytest.raises(HungUp):
        await Connection(client.receive, client.send).read_body(limit=6)


async def test_a_client_that_leaves_while_it_is_sent_to() -> None:
    """What a client did not take before it left is not counted as sent."""
    client = Client()
    connection = Connection(client.receive, client.send)
    await connection.pause(0)
    client.is_reading.clear()
    sending = asyncio.create_task(connection.send(b"token"))
    await connection.pause(0)
    client.has_hung_up.set()
    with pytest.raises(HungUp):
        await connection.pause(None)
    client.is_reading.set()

    with pytest.raises(HungUp):
        await sending
    connection.close()


async def test_a_pause_ends_when_its_time_is_over() -> None:
    """A client that stays gets its answer."""
    client = Client()
    connection = Connection(client.receive, client.send)
    await connection.pause(0.001)
    await connection.start(200, {"X-Demo": "1"})
    await connection.send(b"to")
    await connection.finish(b"ken")
    connection.close()

    assert b"token" == client.received
