"""What the answer cache gives: a load that repeats itself, over the product as it is shipped."""

import random
from collections import Counter
from time import perf_counter

import httpx

from bench.figures import Row, quantile
from bench.part import Effort, Part, Servers

QUESTIONS = 50
ROUNDS = 10
"""How often each question is asked: at best 90 % are hits."""
SEED = 20_261_121


def cache(servers: Servers, effort: Effort) -> Part:
    """Deterministic questions, each asked ten times, in any order."""
    server = servers.get("shipped")
    if server is None:
        return Part("A load that repeats itself", [])
    order = [number for number in range(QUESTIONS) for _ in range(ROUNDS)]
    random.Random(SEED).shuffle(order)
    said: Counter[str] = Counter()
    took: dict[str, list[float]] = {"hit": [], "miss": []}
    with httpx.Client(headers={"authorization": f"Bearer {server.keys['plenty']}"}, timeout=30) as client:
        for number in order:
            body = {
                "model": "scalix-whole",
                "messages": [{"role": "user", "content": f"Question {SEED} {number}"}],
                "temperature": 0,
            }
            began = perf_counter()
            answer = client.post(server.url, json=body)
            answer.raise_for_status()
            result = answer.headers.get("x-scalix-cache", "none")
            said[result] += 1
            took.setdefault(result, []).append(perf_counter() - began)
    asked = sum(said.values())
    row: Row = {
        "": "shipped",
        "calls": asked,
        "hits_%": said["hit"] / asked * 100,
        **{f"{name}_p50_ms": quantile(times, 0.5) * 1e3 for name, times in took.items() if times},
    }
    return Part("A load that repeats itself", [row], details=dict(said))
