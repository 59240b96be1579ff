"""An app that starts at once, in place of LiteLLM's: what the launcher promises holds for any."""

import asyncio
import os
import sys
from typing import Any
from urllib.parse import parse_qs

import redis.asyncio

POLL_S = 0.02


async def app(scope: Any, receive: Any, send: Any) -> None:
    """/v1/health, /pid, /environment, /log, /store, /load, and /slow: an answer that waits for a file."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    query = {name: values[0] for name, values in parse_qs(scope["query_string"].decode()).items()}
    match scope["path"]:
        case "/slow":
            await _begin(send)
            await _send(send, "begun ", more=True)
            while not os.path.exists(query["until"]):  # noqa: ASYNC110, ASYNC240  # the test is another process
                await asyncio.sleep(POLL_S)
            await _send(send, "done")
        case "/pid":
            await _answer(send, str(os.getpid()))
        case "/environment":
            await _answer(send, "\n".join(f"{name}={value}" for name, value in os.environ.items()))
        case "/log":
            print(query["text"], file=sys.stderr)
            print(query["text"])
            await _answer(send, "logged")
        case "/store":
            async with redis.asyncio.from_url(os.environ["SCALIX_REDIS_URL"]) as store:
                await store.set(query["name"], query["value"], ex=600)
            await _answer(send, "stored")
        case "/load":
            async with redis.asyncio.from_url(os.environ["SCALIX_REDIS_URL"]) as store:
                await _answer(send, str(await store.get(query["name"])))
        case _:
            await _answer(send, '{"status": "ok"}')


async def fails_to_start(scope: Any, receive: Any, send: Any) -> None:
    """Says why, with a key in it, and does not start."""
    print("a key: sk-abcdefghijklmnop1234", file=sys.stderr)
    raise SystemExit(3)


async def _lifespan(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def _answer(send: Any, text: str) -> None:
    await _begin(send)
    await _send(send, text)


async def _begin(send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})


async def _send(send: Any, text: str, more: bool = False) -> None:
    await send({"type": "http.response.body", "body": text.encode(), "more_body": more})
