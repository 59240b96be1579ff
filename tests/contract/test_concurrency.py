"""Many at once: exactly as many as there is room for."""

import asyncio
from dataclasses import replace

from scalix_callbacks.core.limits import Admitted, Ask
from scalix_callbacks.store.connection import connect
from scalix_callbacks.store.limiter import RedisLimiter
from tests.contract.world import NOON, PATIENCE_S, REQUESTS_1H, TOKENS_1D, abandoned
from tests.redis_server import RedisServer

REQUESTS = replace(REQUESTS_1H, amount=37)
TOKENS = replace(TOKENS_1D, amount=5_000)


async def test_exactly_as_many_as_there_is_room_for(clean_redis: RedisServer) -> None:
    """200 calls over 4 workers, each with its own connections: 37 requests, no more and no fewer."""
    clients = [connect(clean_redis.url) for _ in range(4)]
    workers = [RedisLimiter(c, f"w{i}", abandoned, timeout_s=PATIENCE_S) for i, c in enumerate(clients)]
    asks = [Ask(f"call-{i}", "ada", (REQUESTS, TOKENS), 50, 50, None, {}) for i in range(200)]
    pairs = [(ask, workers[i % 4]) for i, ask in enumerate(asks)]

    decisions = await asyncio.gather(*(worker.admit(ask, now_s=NOON) for ask, worker in pairs))
    admitted = [
        pair for pair, decision in zip(pairs, decisions, strict=True) if isinstance(decision, Admitted)
    ]
    assert 37 == len(admitted)

    # Each settled by three at once.
    ends = await asyncio.gather(
        *(
            worker.settle(ask, is_counted=True, tokens=60, record={}, now_s=NOON)
            for ask, worker in admitted
            for _ in range(3)
        )
    )
    assert 37 == sum(end is not None for end in ends)
    standings = await workers[0].standings("ada", (REQUESTS, TOKENS), now_s=NOON)
    assert [(37, 0), (37 * 60, 0)] == [(standing.used, standing.held) for standing in standings]
    for client in clients:
        await client.aclose()


async def test_tokens_are_not_overrun_either(clean_redis: RedisServer) -> None:
    """5,000 tokens at 300 a call are 16 calls; the rest waits for them."""
    clients = [connect(clean_redis.url) for _ in range(4)]
    workers = [RedisLimiter(c, f"w{i}", abandoned, timeout_s=PATIENCE_S) for i, c in enumerate(clients)]
    asks = [Ask(f"call-{i}", "ada", (TOKENS,), 200, 100, None, {}) for i in range(200)]
    decisions = await asyncio.gather(*(workers[i % 4].admit(ask) for i, ask in enumerate(asks)))

    assert 16 == sum(isinstance(decision, Admitted) for decision in decisions)
    assert all(isinstance(decision, Admitted) or decision.is_held for decision in decisions)
    await asyncio.gather(
        *(workers[i % 4].settle(ask, is_counted=False, tokens=0, record={}) for i, ask in enumerate(asks))
    )
    for client in clients:
        await client.aclose()
