"""A provider that answers at once, so that only the proxy in front of it is measured.

`python -m bench.provider PORT`. The name of the model says what it does: `whole` answers in one piece,
`chunks-200` streams that many chunks in one go, `paced-20` a chunk every `PACE_S`, `flaky` fails every
twentieth time, `slow-20` streams a chunk every `SLOW_PACE_S`. It reads no more of HTTP than the proxies say.
"""

import asyncio
import re
import sys
from functools import lru_cache
from typing import cast

import orjson
import uvloop

PACE_S = 0.5
SLOW_PACE_S = 10.0
FAILS_EVERY = 20
PROMPT_TOKENS = 20

_MODEL = re.compile(rb'"model": ?"([a-z]+)(?:-(\d+))?"')
_LENGTH = re.compile(rb"\r\ncontent-length: ?(\d+)", re.IGNORECASE)
_ABOUT = {"id": "chatcmpl-bench", "created": 1_700_000_000, "model": "bench"}


def whole() -> bytes:
    """A chat completion, ready to send."""
    message = {"role": "assistant", "content": "Measured twice, cut once: that is all there is to say. " * 4}
    return _json(
        200,
        {
            **_ABOUT,
            "object": "chat.completion",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": _usage(40),
        },
    )


@lru_cache
def frames(chunks: int) -> tuple[bytes, ...]:
    """A stream as pieces of a chunked HTTP body: `chunks` with text, then the end, the usage and [DONE]."""
    texts = [_chunk([_choice({"role": "assistant", "content": ""})])]
    texts += [_chunk([_choice({"content": f"word{i} "})]) for i in range(chunks - 1)]
    end = [_chunk([_choice({}, "stop")]), _chunk([], usage=_usage(chunks)), b"data: [DONE]\n\n"]
    return (*map(_piece, texts), b"".join(map(_piece, end)) + b"0\r\n\r\n")


_STREAM_START = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


class Connection(asyncio.Protocol):
    """One client, kept alive; its requests are answered in turn."""

    _transport: asyncio.Transport
    failed = 0

    def __init__(self) -> None:
        self._buffer = b""
        self._paced: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none

    def connection_lost(self, error: Exception | None) -> None:
        if self._paced is not None:
            self._paced.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._buffer, 0, end + 2)
            until = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < until:
                return
            body, self._buffer = self._buffer[end + 4 : until], self._buffer[until:]
            self._answer(body)

    def _answer(self, body: bytes) -> None:
        model = _MODEL.search(body)
        kind, number = (model[1], int(model[2] or 0)) if model else (b"whole", 0)
        if kind == b"chunks":
            self._transport.write(_STREAM_START + b"".join(frames(number)))
        elif kind == b"paced":
            self._paced = asyncio.get_running_loop().create_task(self._stream_slowly(number, PACE_S))
        elif kind == b"slow":
            self._paced = asyncio.get_running_loop().create_task(self._stream_slowly(number, SLOW_PACE_S))
        elif kind == b"flaky" and self._is_turn_to_fail():
            self._transport.write(_FAILURE)
        else:
            self._transport.write(_WHOLE)

    def _is_turn_to_fail(self) -> bool:
        Connection.failed += 1
        return Connection.failed % FAILS_EVERY == 0

    async def _stream_slowly(self, chunks: int, pace_s: float) -> None:
        first, *others = frames(chunks)
        self._transport.write(_STREAM_START + first)
        for frame in others:
            await asyncio.sleep(pace_s)
            self._transport.write(frame)


def _json(status: int, body: object) -> bytes:
    raw = orjson.dumps(body)
    start = f"HTTP/1.1 {status} -\r\ncontent-type: application/json\r\ncontent-length: {len(raw)}\r\n\r\n"
    return start.encode() + raw


def _chunk(choices: list[object], **more: object) -> bytes:
    chunk = {**_ABOUT, "object": "chat.completion.chunk", "choices": choices, **more}
    return b"data: " + orjson.dumps(chunk) + b"\n\n"


def _choice(delta: dict[str, str], finish_reason: str | None = None) -> object:
    return {"index": 0, "delta": delta, "finish_reason": finish_reason}


def _piece(frame: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(frame), frame)


def _usage(completion_tokens: int) -> dict[str, int]:
    return {
        "prompt_tokens": PROMPT_TOKENS,
        "completion_tokens": completion_tokens,
        "total_tokens": PROMPT_TOKENS + completion_tokens,
    }


_WHOLE = whole()
_FAILURE = _json(500, {"error": {"message": "The bench says no.", "type": "server_error"}})


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", port, backlog=10_000)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
