"""Under overload paid calls go first, and nobody hangs: a worker that takes one call at once."""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.system.asking import CHAT, MODEL, ask, quiet, user
from tests.system.gateway_process import UPSTREAM_KEY, GatewayProcess, wait_until, write_config

FREE_WAITS_S = 1


class Gate:
    """A provider that answers `hold` when it is told to, and everything else at once."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.opened = threading.Event()
        gate = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
                content = asked["messages"][-1]["content"]
                gate.seen.append(content)
                if content == "hold":
                    gate.opened.wait(60)
                message = {"role": "assistant", "content": "Hello."}
                answer = {
                    "id": "a",
                    "object": "chat.completion",
                    "created": 1,
                    "model": asked["model"],
                    "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
                    "usage": {"prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4},
                }
                body = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Nobody reads it."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.opened.set()
    gate.server.shutdown()
    gate.server.server_close()


@pytest.fixture
def narrow(gate: Gate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """One worker that takes one call at once."""
    folder = tmp_path_factory.mktemp("narrow")
    upstream = f"http://127.0.0.1:{gate.server.server_port}/v1"
    served = {"model": "openai/demo", "api_base": upstream, "api_key": UPSTREAM_KEY}
    config = write_config(
        folder / "config.yaml",
        {MODEL: served},
        router_settings={"num_retries": 0},
        scalix={"tiers": {"free": {"limits": [], "overload_wait_s": FREE_WAITS_S}}},
    )
    process = GatewayProcess(config, folder / "data", SCALIX_MAX_ACTIVE_CALLS="1")
    yield process
    assert process.stop() == 0


def test_paid_calls_go_first_and_free_ones_are_told_to_come_again(narrow: GatewayProcess, gate: Gate) -> None:
    """Nothing is held for those that wait, the operator does not, and afterwards everything goes again."""
    keys = {tier: user(narrow, tier)[1] for tier in ("free", "pro", "premium")}

    def call(tier: str, content: str) -> tuple[httpx.Response, float]:
        began_s = time.monotonic()
        with narrow.client(keys[tier]) as client:
            return client.post(CHAT, json=ask(content)), time.monotonic() - began_s

    with ThreadPoolExecutor(8) as pool, narrow.client() as operator:
        held = pool.submit(call, "premium", "hold")
        wait_until(lambda: gate.seen == ["hold"])
        pros = [pool.submit(call, "pro", "pro") for _ in range(2)]
        wait_until(lambda: 2 == figures(operator)["scalix_calls_waiting", "pro"])
        with narrow.client(keys["pro"]) as impatient, pytest.raises(httpx.ReadTimeout):
            impatient.post(CHAT, json=ask("gone"), timeout=1)
        wait_until(lambda: 2 == figures(operator)["scalix_calls_waiting", "pro"])
        frees = [pool.submit(call, "free", "free") for _ in range(2)]
        refused = [each.result() for each in frees]
        premiums = [pool.submit(call, "premium", "premium") for _ in range(2)]
        wait_until(lambda: 2 == figures(operator)["scalix_calls_waiting", "premium"])
        standing = operator.get("/scalix/admin/outbox").json()
        own, health = operator.post(CHAT, json=ask("operator")), operator.get("/v1/health")
        gate.opened.set()
        answers = [each.result()[0] for each in (held, *pros, *premiums)]
        again, _ = call("free", "free again")
        quiet(narrow)
        told = figures(operator)

    for answer, took_s in refused:
        assert (503, "OVERLOADED") == (answer.status_code, answer.json()["error"]["code"])
        assert "[Upgrade to Pro](https://scalix.world/pro)" in answer.json()["error"]["message"]
        assert 1 <= int(answer.headers["retry-after"]) <= 30
        assert FREE_WAITS_S <= took_s < 20
    assert 1 == standing["reservations_held"]
    assert [200] * 8 == [each.status_code for each in (*answers, own, health, again)]
    assert ["hold", "operator", *["premium"] * 2, *["pro"] * 2, "free again"] == gate.seen
    assert {0.0} == {told["scalix_calls_waiting", tier] for tier in keys}
    assert 2 == told["scalix_overload_refused_total", "free"]
    assert 2 == told["scalix_overload_wait_seconds_count", "premium"]


def figures(operator: httpx.Client) -> dict[tuple[str, str], float]:
    """What the metrics say, by name and tier."""
    families = text_string_to_metric_families(operator.get("/metrics").text)
    return {
        (sample.name, sample.labels["user_type"]): sample.value
        for family in families
        for sample in family.samples
        if "user_type" in sample.labels
    }
