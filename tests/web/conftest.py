"""The edge with a scripted application in LiteLLM's place."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scalix_callbacks.web.edge import Edge
from scalix_callbacks.web.health import Health, alive, health_route
from scalix_callbacks.web.keys import KeyGenerator
from scalix_callbacks.web.models import list_models, one_model
from tests.world import MASTER_KEY, World, open_world

MAX_BODY_BYTES = 10_000
BODY_TIMEOUT_S = 0.2

Reply = Callable[[Scope, Receive, Send], Awaitable[None]]


async def say_ok(scope: Scope, receive: Receive, send: Send) -> None:
    """What LiteLLM answers unless a test says otherwise."""
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]}
    )
    await send({"type": "http.response.body", "body": b'{"ok":true}'})


def reply(status: int, body: bytes, *, pieces: int = 1, **headers: str) -> Reply:
    """An answer with this body, in so many pieces."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        named = [(_header(name), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": named})
        size = -(-len(body) // pieces) or 1
        for i in range(pieces):
            piece = body[i * size : (i + 1) * size]
            await send({"type": "http.response.body", "body": piece, "more_body": i < pieces - 1})

    return app


def _header(name: str) -> bytes:
    """`content_type`, as a keyword must be written, and any name that holds a hyphen as it is."""
    return (name if "-" in name else name.replace("_", "-")).encode()


def stream(*chunks: bytes, status: int = 200) -> Reply:
    """A stream of these chunks."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return app


class Inner:
    """Stands where LiteLLM stands: notes what reaches it, answers as told."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []
        self.bodies: list[bytes] = []
        self.reply: Reply = say_ok
        self.paths = {"/v1/model/info", "/ui", "/health"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        if scope["type"] == "http":
            self.bodies.append(await self._read(receive) if scope["method"] == "POST" else b"")
        await self.reply(scope, receive, send)

    async def _read(self, receive: Receive) -> bytes:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body", False):
                return body

    def exists(self, scope: Scope) -> bool:
        return scope["path"] in self.paths

    @property
    def headers(self) -> dict[bytes, bytes]:
        """Of the last request."""
        return dict(self.scopes[-1]["headers"])


class Site:
    """The edge, what is behind it, and ways to ask it."""

    def __init__(self, world: World) -> None:
        self.world, self.inner = world, Inner()
        self.health = Health(
            is_stopping=False, redis_ok=True, database_silent_s=1.0, ready_models=3, all_models=4
        )
        own: dict[str, ASGIApp] = {
            path: health_route(lambda: self.health) for path in ("/health", "/v1/health", "/health/readiness")
        }
        own |= {path: alive for path in ("/health/liveness", "/health/liveliness")}
        own |= {path: list_models(world.gateway) for path in ("/models", "/v1/models")}
        own["/v1/models/{id}"] = one_model(world.gateway)
        self.edge = Edge(
            self.inner,
            gateway=world.gateway,
            meter=world.meter,
            own=own,
            exists=self.inner.exists,
            max_body_bytes=MAX_BODY_BYTES,
            body_timeout_s=BODY_TIMEOUT_S,
        )
        own["/key/generate"] = KeyGenerator(
            accounts=world.accounts,
            tiers=world.tiers,
            catalogue=world.catalogue,
            read_body=self.edge.read_body,
            changed=world.directory.forget_all,
            now=world.clock,
        )
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.edge), base_url="http://gateway.example"
        )

    async def ask(
        self,
        method: str,
        path: str,
        *,
        key: str | None = None,
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> httpx.Response:
        credential = {} if key is None else {"authorization": f"Bearer {key}"}
        return await self.client.request(method, path, headers={**credential, **(headers or {})}, **more)

    async def raw(
        self,
        *incoming: Message,
        method: str = "POST",
        path: str = "/v1/chat/completions",
        headers: list[tuple[bytes, bytes]] | None = None,
        query: bytes = b"",
        then: Callable[[], Awaitable[Message]] | None = None,
    ) -> list[Message]:
        """Speaks ASGI itself; gives what is sent back. After `incoming` comes `then`, or nothing any more."""
        waiting, sent = list(incoming), list[Message]()

        async def receive() -> Message:
            if waiting:
                return waiting.pop(0)
            if then is not None:
                return await then()
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: Message) -> None:
            sent.append(message)

        scope: Scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query,
            "headers": headers or [],
        }
        async with asyncio.timeout(10):
            await self.edge(scope, receive, send)
        return sent


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with open_world(tmp_path) as world:
        yield world


@pytest.fixture
async def site(world: World) -> AsyncIterator[Site]:
    site = Site(world)
    yield site
    await site.client.aclose()


@pytest.fixture
def key(world: World) -> str:
    """A key of the free account `ada`."""
    return world.key()


@pytest.fixture
def master_key() -> str:
    return MASTER_KEY
