"""A provider that says anything, byte for byte."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def raw_provider(reply: Callable[[str], bytes | None]) -> AsyncIterator[str]:
    """Its address. `reply`: path of a request → all that is said; None: nothing while it is open."""
    stopped = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head.lower())
            await reader.readexactly(int(length[1]) if length else 0)
            said = reply(head.split(b" ")[1].decode())
            if said is None:
                await stopped.wait()
            else:
                writer.write(said)
                await writer.drain()
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        stopped.set()
        server.close()


def json_reply(status: int, body: Any) -> bytes:
    """`body` as JSON; a text as it is."""
    said = (body if isinstance(body, str) else json.dumps(body)).encode()
    head = b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\nconnection: close\r\n" % status
    return head + b"content-length: %d\r\n\r\n%s" % (len(said), said)
