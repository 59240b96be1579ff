"""The pack alone, in one process: what its edge and hooks add to a call, around a LiteLLM that does nothing.

Started by `python -m bench.in_process [--profile]`, which gives it a Redis and a key.
"""

import asyncio
import cProfile
import gc
import json
import pstats
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import orjson
import uvloop
from litellm.caching.caching import DualCache
from litellm.types.utils import Delta, ModelResponse, ModelResponseStream, StreamingChoices, Usage
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from bench.figures import quantile
from scalix_callbacks.app import App, build
from scalix_callbacks.proxy.auth import authenticate
from scalix_callbacks.web.edge import Edge

CHUNKS = 200
AT_ONCE = 8
CALLS = 400
STREAMS = 40
DEPLOYMENT = {"model_name": "scalix-whole", "litellm_params": {"model": "openai/whole"}}
_HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"2")]
_HEADERS += [(f"x-litellm-{i}".encode(), b"1") for i in range(20)]


def _chunk(text: str) -> ModelResponseStream:
    return ModelResponseStream(choices=[StreamingChoices(delta=Delta(content=text))])


class _LiteLLM:
    """Asks the hooks in LiteLLM's order, and answers; without hooks: what would have been done anyway."""

    def __init__(self, pack: App) -> None:
        self._hooks = pack.callbacks
        self._response = ModelResponse(usage=Usage(prompt_tokens=20, completion_tokens=40, total_tokens=60))
        self._chunks = [_chunk(f"word{i} ") for i in range(CHUNKS)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        data = orjson.loads(await request.body())
        user = await authenticate(request, None)
        data = await self._hooks.async_pre_call_hook(user, DualCache(), data, "acompletion")
        await self._hooks.async_filter_deployments("scalix-whole", [DEPLOYMENT], None)
        if data.get("stream"):
            await self._hooks.async_post_call_response_headers_hook(data, user, None)
            stream = self._hooks.async_post_call_streaming_iterator_hook(user, self._stream(), data)
            await _send_stream(send, stream)
        else:
            response = self._response.model_copy()
            await self._hooks.async_post_call_success_hook(data, user, response)
            await self._hooks.async_post_call_response_headers_hook(data, user, response)
            await _send_whole(send)

    async def plain(self, scope: Scope, receive: Receive, send: Send) -> None:
        data = orjson.loads(await Request(scope, receive).body())
        if data.get("stream"):
            await _send_stream(send, self._stream())
        else:
            self._response.model_copy()
            await _send_whole(send)

    async def _stream(self) -> AsyncIterator[Any]:
        for chunk in self._chunks:
            yield chunk


async def _send_whole(send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": b"{}"})


async def _send_stream(send: Send, stream: AsyncIterator[Any]) -> None:
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    async for _ in stream:
        await send({"type": "http.response.body", "body": _FRAME, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


_FRAME = (
    b'data: {"id":"x","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
)


async def _ask(app: Callable[[Scope, Receive, Send], Awaitable[None]], key: str, body: bytes) -> None:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            assert message["status"] == 200, message

    scope: Scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/chat/completions",
        "query_string": b"",
        "headers": [
            (b"host", b"127.0.0.1:4000"),
            (b"authorization", f"Bearer {key}".encode()),
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"user-agent", b"bench"),
        ],
    }
    await app(scope, receive, send)


async def _timed(ask: Callable[[], Awaitable[None]], calls: int) -> tuple[float, list[float]]:
    """CPU seconds for each call, some at once; and what each took where they come one by one."""
    one_by_one = []
    for _ in range(calls // 2):
        began = time.perf_counter()
        await ask()
        one_by_one.append(time.perf_counter() - began)
    spent = time.thread_time()
    for _ in range(calls // AT_ONCE):
        await asyncio.gather(*(ask() for _ in range(AT_ONCE)))
    return (time.thread_time() - spent) / (calls // AT_ONCE * AT_ONCE), one_by_one


async def run(key: str, is_profiled: bool) -> dict[str, float]:
    pack = build()
    litellm = _LiteLLM(pack)
    edge = Edge(
        litellm,
        gateway=pack.gateway,
        meter=pack.meter,
        own={},
        exists=lambda scope: True,
        max_body_bytes=10**7,
        counts=pack.metrics.requests,
        traced=pack.traced,
    )
    await pack.start()
    gc.freeze()  # as a worker does that has started
    text = {"messages": [{"role": "user", "content": "Say in a few words how a thing is measured."}]}
    whole = orjson.dumps({"model": "scalix-whole", **text})
    stream = orjson.dumps({"model": "scalix-chunks-210", **text, "stream": True})
    for body in (whole, stream):
        await _timed(lambda body=body: _ask(edge, key, body), STREAMS)  # type: ignore[misc]
    profile = cProfile.Profile()
    if is_profiled:
        profile.enable()
    calls_s, each = await _timed(lambda: _ask(edge, key, whole), CALLS)
    if is_profiled:
        profile.disable()
        pstats.Stats(profile, stream=sys.stderr).sort_stats("tottime").print_stats(60)
        pstats.Stats(profile, stream=sys.stderr).sort_stats("cumtime").print_stats(70)
    streams_s, _ = await _timed(lambda: _ask(edge, key, stream), STREAMS)
    plain_calls_s, plain_each = await _timed(lambda: _ask(litellm.plain, key, whole), CALLS)
    plain_streams_s, _ = await _timed(lambda: _ask(litellm.plain, key, stream), STREAMS)
    await pack.stop()
    return {
        "cpu_us_per_call": (calls_s - plain_calls_s) * 1e6,
        "p50_us": (quantile(each, 0.5) - quantile(plain_each, 0.5)) * 1e6,
        "p99_us": (quantile(each, 0.99) - quantile(plain_each, 0.99)) * 1e6,
        "cpu_us_per_chunk": (streams_s - plain_streams_s - (calls_s - plain_calls_s)) / CHUNKS * 1e6,
    }


if __name__ == "__main__":
    _, key_, *flags = sys.argv
    print(json.dumps(uvloop.run(run(key_, "--profile" in flags))))
