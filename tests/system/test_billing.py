"""What each end of a call is charged, as docs/billing.md says: by the ledger, and by what is left."""

import re
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from scalix_callbacks.demo_provider.testing import DemoProviderServer
from tests.system.asking import CHAT, MODEL, ask, only_record, standing, user
from tests.system.gateway_process import UPSTREAM_KEY, GatewayProcess, wait_until, write_config


@pytest.mark.parametrize("chunks", [0, 1, 2, 7])
def test_a_cut_stream_is_charged_for_what_was_received(
    limited: GatewayProcess, provider: DemoProviderServer, chunks: int
) -> None:
    """The prompt, and about as many tokens as had come; before the first there are none."""
    name, key = user(limited, "premium")
    provider.reset()
    pace = "delay=5" if chunks == 0 else "delay_per_token=0.2"
    body = ask(f"[demo tokens=100 {pace}]", stream=True, max_tokens=100)
    with limited.client(key) as client:
        try:
            with client.stream("POST", CHAT, json=body, timeout=1 if chunks == 0 else 30) as answer:
                lines = (line for line in answer.iter_lines() if re.search(r'"content":"[^"]', line))
                for _ in range(chunks):
                    next(lines)
        except httpx.ReadTimeout:
            assert chunks == 0
    record = only_record(limited, name)

    assert ("aborted", 1, True) == (record["outcome"], record["requests_counted"], record["estimated"])
    assert record["prompt_tokens"] > 0
    assert chunks <= record["completion_tokens"] <= (chunks + 3 if chunks else 0)
    assert record["prompt_tokens"] + record["completion_tokens"] == standing(limited, key)["tokens_used"]
    wait_until(lambda: [call["outcome"] for call in provider.tally()["calls"]] == ["hang_up"], 10)


def test_a_client_that_gives_up_waiting_is_charged_for_the_prompt(limited: GatewayProcess) -> None:
    """Its provider was at work already."""
    name, key = user(limited, "premium")
    with limited.client(key) as client, pytest.raises(httpx.ReadTimeout):
        client.post(CHAT, json=ask("[demo delay=5]"), timeout=1)
    record = only_record(limited, name)

    assert ("aborted", 1, 0) == (
        record["outcome"],
        record["requests_counted"],
        record["completion_tokens"],
    )
    assert record["prompt_tokens"] == standing(limited, key)["tokens_used"]


@pytest.mark.parametrize("how", ["fail_after=4", "fail=500"])
def test_a_failed_stream_gives_its_request_back(limited: GatewayProcess, how: str) -> None:
    """What had been received is charged; a failure before that costs nothing."""
    name, key = user(limited, "premium")
    with limited.client(key) as client:
        client.post(CHAT, json=ask(f"[demo tokens=50 {how}]", stream=True, max_tokens=50))
    record, left = only_record(limited, name), standing(limited, key)

    assert ("error", 0, 0) == (
        record["outcome"],
        record["requests_counted"],
        left["requests_this_hour"],
    )
    if how == "fail=500":
        assert (None, 0) == (record["completion_tokens"], left["tokens_used"])
    else:
        assert 1 <= record["completion_tokens"] <= 6
        assert record["prompt_tokens"] + record["completion_tokens"] == left["tokens_used"]


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_without_usage_is_estimated(limited: GatewayProcess, stream: bool) -> None:
    """And marked so, where it was us who estimated."""
    name, key = user(limited, "premium")
    with limited.client(key) as client:
        client.post(CHAT, json=ask("[demo tokens=30 usage=off]", stream=stream, max_tokens=30))
    record = only_record(limited, name)

    assert ("ok", 1) == (record["outcome"], record["requests_counted"])
    assert 15 <= record["completion_tokens"] <= 60


def test_a_gateway_that_stops_settles_everything(provider: DemoProviderServer, tmp_path: Path) -> None:
    """Also calls it has to break off, and says so; the next start finds their records, and nothing held."""
    served = {"model": "openai/demo", "api_base": provider.base_url, "api_key": UPSTREAM_KEY}
    config = write_config(tmp_path / "c.yaml", {MODEL: served})
    first = GatewayProcess(config, tmp_path / "data", SCALIX_SHUTDOWN_TIMEOUT_S="2")
    name, key = user(first, "premium")
    provider.reset()
    with first.client(key) as client, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.post, CHAT, json=ask("[demo hang=on]"))
        provider.wait_for_in_flight(1)
        first.process.send_signal(signal.SIGTERM)
        assert 0 == first.process.wait(60)
        told = waiting.result()
    second = GatewayProcess(config, tmp_path / "data")
    record = only_record(second, name)

    assert (503, "SERVICE_UNAVAILABLE") == (told.status_code, told.json()["error"]["code"])
    assert "retry-after" in told.headers
    assert ("aborted", 1) == (record["outcome"], record["requests_counted"])
    assert 0 == second.stop()
