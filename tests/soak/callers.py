"""Clients of a fault run: each call as planned, and what its client saw of it."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson

from scalix_callbacks.demo_provider.testing import DemoProviderServer
from tests.soak.plan import FALLBACK, Kind, PlannedCall

CHAT = "/v1/chat/completions"
RETRIES = 1
"""Of LiteLLM itself, for one model."""
PATIENCE_S = 90.0
LEAVES_AFTER_S = 0.4
ATTEMPTS = 3
UNREADABLE = "unreadable"
"""The code of an answer that is no JSON."""


@dataclass(slots=True)
class Seen:
    """One HTTP attempt, as its client saw it.

    Attributes:
        began, ended: on the clock of `time.monotonic`.
        status: None: no head of an answer came.
        usage, cost_usd: what the answer told; None: it told nothing, or did not come whole.
        contents: chunks of a stream that held a part of the answer.
        code: of the error the answer told.
        has_left: the client hung up, as planned.
    """

    call: PlannedCall
    attempt: int
    began: float
    ended: float = 0.0
    status: int | None = None
    usage: dict[str, Any] | None = None
    cost_usd: str | None = None
    contents: int = 0
    code: str | None = None
    has_left: bool = False
    error: str = ""

    @property
    def request_id(self) -> str:
        return f"{self.call.tag}:attempt-{self.attempt}"

    @property
    def is_whole(self) -> bool:
        return self.usage is not None


@dataclass(slots=True)
class Callers:
    """So many clients at once, until they are told to stop.

    Args:
        where: the gateway's address as it is now, and the key of a user by its number.
    """

    provider: DemoProviderServer
    where: Callable[[], str]
    keys: list[str]
    seen: list[Seen] = field(default_factory=list)
    is_over: bool = False

    async def run(self, planned: Any, at_once: int) -> None:
        anew = httpx.Limits(max_keepalive_connections=0)
        async with httpx.AsyncClient(base_url=self.provider.url, limits=anew, trust_env=False) as control:
            await asyncio.gather(*(self._one_by_one(planned, control) for _ in range(at_once)))

    async def _one_by_one(self, planned: Any, control: httpx.AsyncClient) -> None:
        while not self.is_over:
            call: PlannedCall = next(planned)
            for script in _scripts(call):
                (await control.post("/_demo/script", json=script)).raise_for_status()
            for attempt in range(1, ATTEMPTS + 1 if call.kind is Kind.RETRIED else 2):
                seen = Seen(call, attempt, time.monotonic())
                self.seen.append(seen)
                try:
                    await self._ask(seen)
                except (httpx.HTTPError, TimeoutError) as error:
                    seen.error = type(error).__name__
                seen.ended = time.monotonic()
                if seen.status is None and not seen.has_left:
                    await asyncio.sleep(0.2)  # nobody there, it may be
                if seen.is_whole:
                    break

    async def _ask(self, seen: Seen) -> None:
        call = seen.call
        headers = {
            "authorization": f"Bearer {self.keys[call.user]}",
            "x-scalix-request-id": seen.request_id,
        }
        # A connection of its own for each: none is left over from a worker that is gone.
        async with httpx.AsyncClient(
            base_url=self.where(), headers=headers, timeout=PATIENCE_S, trust_env=False
        ) as client:
            if call.kind is Kind.LEFT_EARLY:
                try:
                    async with asyncio.timeout(LEAVES_AFTER_S):
                        await self._read(seen, client)
                except TimeoutError:
                    seen.has_left = True
            else:
                await self._read(seen, client)

    async def _read(self, seen: Seen, client: httpx.AsyncClient) -> None:
        call = seen.call
        async with client.stream("POST", CHAT, json=body(call)) as answer:
            seen.status = answer.status_code
            if not call.is_stream or answer.status_code != 200:
                _read_whole(seen, await answer.aread())
                return
            usage, cost = None, None
            async for line in answer.aiter_lines():
                if not line.startswith("data: "):
                    continue
                if line == "data: [DONE]":
                    seen.usage, seen.cost_usd = usage, cost
                    continue
                chunk = orjson.loads(line[6:])
                if "error" in chunk:
                    seen.code = chunk["error"]["code"]
                    return
                if "scalix" in chunk:
                    usage, cost = chunk["usage"], chunk["scalix"]["cost_usd"]
                seen.contents += sum(bool(choice["delta"].get("content")) for choice in chunk["choices"])
                if call.kind is Kind.LEFT and seen.contents >= call.at_chunk:
                    seen.has_left = True
                    return


def body(call: PlannedCall) -> dict[str, Any]:
    """The same for every attempt, or they would not be attempts of one request."""
    told = {
        Kind.UNREPORTED: "usage=off delay_per_token=0.01",
        Kind.LEFT_EARLY: "delay=3",
        Kind.LEFT: "delay_per_token=0.05",
        Kind.FAILED: "fail=500",
        Kind.FAILED_LATE: f"{'cut' if call.is_cut else 'fail'}_after={call.at_chunk} delay_per_token=0.02",
        Kind.TIMED_OUT: "hang=on",
    }.get(call.kind, "delay_per_token=0.03")
    text = f"[demo tag={call.tag} tokens={call.tokens} {told}]" + " word" * call.words
    return {
        "model": call.model,
        "messages": [{"role": "user", "content": text}],
        "max_tokens": 50,
        "stream": call.is_stream,
    }


def _scripts(call: PlannedCall) -> list[dict[str, Any]]:
    """What the provider has to be told beforehand: to fail so often, and then to do what the prompt says."""
    times = {Kind.RETRIED_INSIDE: 1, Kind.FELL_BACK: RETRIES + 1, Kind.RETRIED: RETRIES + 1}.get(call.kind)
    if times is None:
        return []
    model = call.model if call.model in FALLBACK else None
    script = {"status": 503, "tag": call.tag}
    return [{"script": script, "times": times, "model": model, "match": f"tag={call.tag} "}]


def _read_whole(seen: Seen, raw: bytes) -> None:
    try:
        told = orjson.loads(raw)
    except orjson.JSONDecodeError:
        seen.code = UNREADABLE
        return
    if seen.status == 200:
        seen.usage, seen.cost_usd = told["usage"], told["scalix"]["cost_usd"]
    else:
        seen.code = told["error"]["code"]
