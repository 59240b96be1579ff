"""The tally adds up, whatever calls come at once."""

import asyncio
from collections import Counter

import httpx
import openai

from scalix_callbacks.demo_provider.testing import DemoProviderServer

from .support import AUTH, chat


async def test_fifty_mixed_calls_are_billed_exactly(
    provider: DemoProviderServer, async_client: openai.AsyncOpenAI
) -> None:
    """Whole, streamed, failing, cut and abandoned calls at once: every one is in the tally, once, exactly."""
    async with httpx.AsyncClient(
        base_url=provider.base_url, headers=AUTH, timeout=10, trust_env=False
    ) as http:

        async def whole(tokens: int) -> None:
            answer = await http.post("/chat/completions", json=chat(f"[demo tokens={tokens}]"))
            assert tokens == answer.json()["usage"]["completion_tokens"]

        async def streamed(tokens: int) -> None:
            text = f"[demo tokens={tokens} delay_per_token=0.001]"
            stream = await async_client.chat.completions.create(
                model="demo", messages=[{"role": "user", "content": text}], stream=True
            )
            texts = [chunk.choices[0].delta.content async for chunk in stream]
            assert tokens == len([text for text in texts if text])

        async def refused(_: int) -> None:
            assert 503 == (await http.post("/chat/completions", json=chat("[demo fail=503]"))).status_code

        async def cut(tokens: int) -> None:
            body = chat(f"[demo cut_after={tokens} tokens=99]", stream=True)
            try:
                await http.post("/chat/completions", json=body)
            except httpx.RemoteProtocolError:
                return
            raise AssertionError("the stream was not cut")

        async def abandoned(tokens: int) -> None:
            body = chat(f"[demo hang_after={tokens}]", stream=True)
            seen = 0
            async with http.stream("POST", "/chat/completions", json=body) as answer:
                async for line in answer.aiter_lines():
                    seen += '"content":"' in line and '"role"' not in line
                    if seen == tokens:
                        break

        kinds = (whole, streamed, refused, cut, abandoned)
        await asyncio.gather(*(kinds[number % 5](number // 5 + 1) for number in range(50)))
        calls = await asyncio.to_thread(provider.wait_for_calls, 50)

    sent = Counter[str]()
    for call in calls:
        sent[call["outcome"]] += call["completion_tokens"]
    assert {"ok": 55 + 55, "error": 0, "cut": 55, "hang_up": 55} == dict(sent)
    totals = provider.tally()["totals"]
    outcomes = {"ok": 20, "error": 10, "cut": 10, "hang_up": 10, "failed_midstream": 0}
    # By hand: "[demo tokens=1]" has 6 tokens, with delay_per_token=0.001 11, with tokens=99 9, hang_after 6.
    expected = {
        "calls": 50,
        "prompt_tokens": 10 * (6 + 11 + 9 + 6),
        "completion_tokens": 220,
        "total_tokens": 10 * (6 + 11 + 9 + 6) + 220,
        "outcomes": outcomes,
    }
    assert expected == totals
    assert 0 == provider.in_flight()
