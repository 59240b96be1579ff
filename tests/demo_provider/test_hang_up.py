"""Clients that hang up, at every point of a call."""

import asyncio
import socket
import struct
from typing import Any

import openai
import pytest

from scalix_callbacks.demo_provider.testing import DemoProviderServer

from .support import chat, port_of, raw_request, read_until


def billed(provider: DemoProviderServer) -> list[tuple[str, int | None, int, int]]:
    """Outcome, status, prompt and completion tokens of the one call, once it is over."""
    return [
        (call["outcome"], call["http_status"], call["prompt_tokens"], call["completion_tokens"])
        for call in provider.wait_for_calls(1, timeout_s=2)
    ]


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("directive", ["delay=600", "hang", "delay_per_token=60"])
def test_before_the_first_token(provider: DemoProviderServer, directive: str, is_stream: bool) -> None:
    """It is noticed at once although nothing is being sent; before the head nothing is billed."""
    connection = raw_request(port_of(provider.url), chat(f"[demo {directive}]", stream=is_stream))
    has_head = is_stream and directive == "delay_per_token=60"
    if has_head:
        read_until(connection, b"assistant")
    provider.wait_for_in_flight(1)
    connection.close()

    prompt_tokens = 6 if has_head else 0
    assert [("hang_up", 200 if has_head else None, prompt_tokens, 0)] == billed(provider)
    assert 0 == provider.in_flight()


@pytest.mark.parametrize("directive", ["hang_after=3", "tokens=3 delay_per_token=0.01 hang_after=3"])
def test_in_mid_stream(provider: DemoProviderServer, directive: str) -> None:
    """Exactly the tokens that were sent are billed."""
    connection = raw_request(port_of(provider.url), chat(f"[demo {directive}]", stream=True))
    read_until(connection, b'" the"')
    connection.close()

    outcome, status, _, completion_tokens = billed(provider)[0]
    assert ("hang_up", 200, 3) == (outcome, status, completion_tokens)


def test_between_two_tokens(provider: DemoProviderServer) -> None:
    """A stream stops within one token of the hang-up."""
    connection = raw_request(
        port_of(provider.url), chat("[demo tokens=9999 delay_per_token=0.02]", stream=True)
    )
    received = read_until(connection, b'" the"')
    connection.close()

    outcome, _, _, completion_tokens = billed(provider)[0]
    assert "hang_up" == outcome
    assert received.count(b'"content":" ') + 1 <= completion_tokens < 100


def test_a_reset_connection(provider: DemoProviderServer) -> None:
    """An abrupt end counts like a polite one."""
    connection = raw_request(port_of(provider.url), chat("[demo hang_after=1]", stream=True))
    read_until(connection, b"Hello")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()

    assert [("hang_up", 200, 6, 1)] == billed(provider)


def test_while_the_body_is_still_coming(provider: DemoProviderServer) -> None:
    """A request that never became whole is an abandoned call without a model."""
    with socket.create_connection(("127.0.0.1", port_of(provider.url)), timeout=10) as connection:
        connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: demo\r\ncontent-length: 99\r\n\r\n{")
        provider.wait_for_in_flight(1)

    assert [("hang_up", None, 0, 0)] == billed(provider)
    assert [None] == [call["model"] for call in provider.calls()]


def test_a_client_that_does_not_read(provider: DemoProviderServer) -> None:
    """The stream waits for it without filling the memory, and ends when it leaves."""
    body = chat("[demo tokens=100000]", stream=True)
    connection = raw_request(port_of(provider.url), body)
    read_until(connection, b"assistant")
    connection.close()

    outcome, _, _, completion_tokens = billed(provider)[0]
    assert "hang_up" == outcome
    assert completion_tokens < 100_000


async def test_by_cancelling_the_sdk(provider: DemoProviderServer, async_client: openai.AsyncOpenAI) -> None:
    """A cancelled task of a Python client is seen as a hang-up."""
    call: asyncio.Task[Any] = asyncio.create_task(
        async_client.chat.completions.create(model="demo-hang", messages=[{"role": "user", "content": "Hi"}])
    )
    await asyncio.to_thread(provider.wait_for_in_flight, 1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    assert [("hang_up", None, 0, 0)] == await asyncio.to_thread(billed, provider)


async def test_by_closing_a_stream_of_the_sdk(
    provider: DemoProviderServer, async_client: openai.AsyncOpenAI
) -> None:
    """Leaving a stream early bills what had been sent."""
    stream = await async_client.responses.create(model="demo-stall", input="Hi", stream=True)
    async for event in stream:
        if event.type == "response.output_text.delta" and event.delta == " the":
            break
    await stream.close()

    assert [("hang_up", 200, 1, 3)] == await asyncio.to_thread(billed, provider)
