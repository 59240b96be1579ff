"""What LiteLLM does at a worker's first requests, done before it serves any."""

import asyncio
import importlib

import litellm
from litellm.types.utils import Delta, ModelResponseStream, StreamingChoices
from starlette.types import ASGIApp, Message

_IMPORTED_LATE = ("litellm.integrations.shadow_eval_logger",)


async def warm_up(app: ASGIApp) -> None:
    """Builds LiteLLM's routes, and imports what counts and completes a stream.

    Both take a second in which the worker would serve nobody. And LiteLLM completes streams in threads, where
    two first ones would import the same modules at once.

    Args:
        app: LiteLLM's.
    """
    for module in _IMPORTED_LATE:
        importlib.import_module(module)
    chunk = ModelResponseStream(
        choices=[StreamingChoices(delta=Delta(content="Hello"), finish_reason="stop")]
    )
    await asyncio.to_thread(litellm.stream_chunk_builder, [chunk], [{"role": "user", "content": "Hello"}])
    await app(dict(_REQUEST), _receive, _send)


_REQUEST = {
    "type": "http",
    "asgi": {"version": "3.0"},
    "http_version": "1.1",
    "method": "GET",
    "scheme": "http",
    "path": "/scalix/warm-up",
    "raw_path": b"/scalix/warm-up",
    "query_string": b"",
    "root_path": "",
    "headers": [],
    "client": ("127.0.0.1", 0),
    "server": ("127.0.0.1", 0),
}


async def _receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _send(message: Message) -> None:
    """Nobody waits for the answer: it is that there is no such page."""
