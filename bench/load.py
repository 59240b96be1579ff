"""A load of so many at once: each connection asks again as soon as it has its answer."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from time import perf_counter
from typing import cast
from urllib.parse import urlsplit

import orjson
import uvloop

PATIENCE_S = 30.0
"""For the answers that are still out when the time is over."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, said again and again."""

    url: str
    key: str
    body: dict[str, object]

    def raw(self) -> bytes:
        address = urlsplit(self.url)
        body = orjson.dumps(self.body)
        head = (
            f"POST {address.path} HTTP/1.1\r\nhost: {address.netloc}\r\nauthorization: Bearer {self.key}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


@dataclass(slots=True)
class Load:
    """What came back. Times in seconds; `first_s`: to a body's first byte; `seconds`: of the whole load."""

    answer_s: list[float] = field(default_factory=list)
    first_s: list[float] = field(default_factory=list)
    chunks: int = 0
    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    broken: int = 0

    @property
    def rate(self) -> float:
        return len(self.answer_s) / self.seconds


def load(ask: Ask, at_once: int, seconds: float) -> Load:
    """Runs it; returns when the last answer is there."""
    return uvloop.run(_load(ask, at_once, seconds))


async def _load(ask: Ask, at_once: int, seconds: float) -> Load:
    loop = asyncio.get_running_loop()
    told, address = Load(), urlsplit(ask.url)
    began = perf_counter()
    raw = ask.raw()
    ended = [loop.create_future() for _ in range(at_once)]
    for future in ended:
        await loop.create_connection(
            lambda future=future: Client(raw, told, began + seconds, future),  # type: ignore[misc]
            address.hostname or "127.0.0.1",
            address.port or 80,
        )
    _, late = await asyncio.wait(ended, timeout=seconds + PATIENCE_S)
    told.broken += len(late)
    told.seconds = perf_counter() - began
    return told


class Client(asyncio.Protocol):
    def __init__(self, raw: bytes, told: Load, until: float, ended: asyncio.Future[None]) -> None:
        self._raw, self._told, self._until, self._ended = raw, told, until, ended
        self._head = self._tail = b""
        self._length: int | None = None
        self._awaits_head = self._is_first = True
        self._began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none
        self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        if not self._ended.done():
            self._told.broken += 1
            self._ended.set_result(None)

    def data_received(self, data: bytes) -> None:
        if self._awaits_head:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            head, data = self._head[:end].lower(), self._head[end + 4 :]
            self._awaits_head = False
            self._told.statuses[int(head[9:12])] += 1
            at = head.find(b"\r\ncontent-length:")
            self._length = int(head[at + 17 :].split(b"\r\n", 1)[0]) if at >= 0 else None
            self._tail, self._is_first = b"", True
        if data and self._is_first:
            self._is_first = False
            self._told.first_s.append(perf_counter() - self._began)
        self._body(data)

    def _body(self, data: bytes) -> None:
        if self._length is not None:
            self._length -= len(data)
            if self._length <= 0:
                self._answered()
            return
        # A chunk is found also where it is cut in two; the tail is shorter than what is looked for.
        self._told.chunks += (self._tail[-5:] + data).count(b"data: ")
        self._tail = (self._tail + data)[-7:]
        if self._tail.endswith(b"\r\n0\r\n\r\n"):
            self._answered()

    def _answered(self) -> None:
        self._told.answer_s.append(perf_counter() - self._began)
        if perf_counter() < self._until:
            self._ask()
        else:
            self._ended.set_result(None)
            self._transport.close()

    def _ask(self) -> None:
        self._head, self._awaits_head = b"", True
        self._began = perf_counter()
        self._transport.write(self._raw)
