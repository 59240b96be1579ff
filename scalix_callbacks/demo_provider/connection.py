"""One HTTP exchange that notices at once when the client hangs up."""

import asyncio
from collections.abc import Mapping

from starlette.types import Receive, Send


class HungUp(Exception):
    """The client closed the connection."""


class BodyTooLarge(Exception):
    """The request's body is longer than allowed."""


class Connection:
    """Reads the body, then answers; close it when the exchange is over.

    From the first `pause` on a task watches the client. Without one, an answer given at once costs no task.
    """

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._watcher: asyncio.Task[None] | None = None

    async def read_body(self, limit: int) -> bytes:
        """The whole body. Raises: HungUp; BodyTooLarge, above `limit` bytes (read to the end, not kept)."""
        parts: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise HungUp
            part = message.get("body", b"")
            size += len(part)
            if size <= limit:
                parts.append(part)
            else:
                parts.clear()
            if not message.get("more_body", False):
                break
        if size > limit:
            raise BodyTooLarge
        return b"".join(parts)

    async def pause(self, seconds: float | None) -> None:
        """Wait `seconds`, or for ever when None. 0 lets others run. Raises: HungUp, the moment it happens."""
        if self._watcher is None:
            self._watcher = asyncio.create_task(self._watch())
        if seconds == 0:
            await asyncio.sleep(0)
        else:
            await asyncio.wait([self._watcher], timeout=seconds)
        self._check()

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Send the head. Raises: HungUp."""
        self._check()
        raw = [(name.lower().encode("ascii"), value.encode("ascii")) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": raw})
        self._check()

    async def send(self, body: bytes) -> None:
        """Send a part of the body; waits while the client reads too slowly. Raises: HungUp."""
        await self._send({"type": "http.response.body", "body": body, "more_body": True})
        self._check()

    async def finish(self, body: bytes = b"") -> None:
        """Send the last part of the body."""
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    def close(self) -> None:
        """Stop watching."""
        if self._watcher is not None:
            self._watcher.cancel()

    def _check(self) -> None:
        if self._watcher is not None and self._watcher.done():
            raise HungUp

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
