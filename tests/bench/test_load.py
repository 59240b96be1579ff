"""The bench's own load against its own provider."""

import asyncio

from bench.load import Ask, _load
from bench.provider import Connection


async def _loaded(model: str, *, stream: bool = False) -> tuple[set[int], int, int]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        body: dict[str, object] = {"model": model, "stream": stream}
        told = await _load(Ask(f"http://127.0.0.1:{port}/v1/chat/completions", "k", body), 3, 0.0)
    assert 3 == len(told.answer_s) == len(told.first_s)
    return set(told.statuses), told.chunks, told.broken


async def test_whole_answers_are_counted() -> None:
    """Each connection has its answer, and none is broken."""
    assert ({200}, 0, 0) == await _loaded("whole")


async def test_every_chunk_of_a_stream_is_counted() -> None:
    """Ten with text, one that ends, one with the usage, one that says [DONE]; three times."""
    assert ({200}, 39, 0) == await _loaded("chunks-10", stream=True)
