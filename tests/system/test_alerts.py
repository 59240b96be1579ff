"""A real webhook hears once that Redis is lost, that it is back, and whose budget runs out."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from scalix_callbacks.demo_provider.testing import DemoProviderServer
from tests.system.asking import CHAT, ask
from tests.system.gateway_process import UPSTREAM_KEY, GatewayProcess, wait_until, write_config
from tests.system.test_store_lost import hung_redis

PRICED = {
    "tiers": {"pro": {"limits": []}},
    "prices": [{"model": "gpt-4", "input_usd_per_1k": 0, "output_usd_per_1k": 1}],
}


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[Any]]]:
    """Its address, and what it was told."""
    bodies: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            # The first is not taken: it comes again.
            self.send_response(503 if len(bodies) == 1 else 204)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/s3cret-path", bodies
        server.shutdown()
        thread.join()


def test_the_webhook_is_told_once(
    webhook: tuple[str, list[Any]], provider: DemoProviderServer, tmp_path: Path
) -> None:
    """By one of two workers, though both see it; the log does not say where it is."""
    address, bodies = webhook
    served = {"api_base": provider.base_url, "api_key": UPSTREAM_KEY, "model": "openai/demo"}
    config = write_config(tmp_path / "config.yaml", {"gpt-4": served}, scalix=PRICED)
    gateway = GatewayProcess(config, tmp_path / "data", workers=2, SCALIX_ALERT_WEBHOOK=address)
    try:
        key = gateway.new_key(user_id="ada", tier="premium", max_budget=0.01)
        with gateway.client(key) as client:
            # 9 of the 10 tokens the budget pays for.
            spent = client.post(CHAT, json=ask("[demo tokens=9]", model="gpt-4", max_tokens=9))
            assert 200 == spent.status_code, spent.text
            assert 0.009 == client.get("/v1/user/info").json()["user_info"]["spend"], spent.json()["scalix"]
            wait_until(lambda: [b for b in bodies if b["alert"] == "budget_used"][1:])
        with hung_redis(gateway):
            wait_until(lambda: [b for b in bodies if b["alert"] == "store_lost"], 60)
        wait_until(lambda: [b for b in bodies if b["alert"] == "store_back"], 60)
    finally:
        assert 0 == gateway.stop()

    assert ["budget_used", "budget_used", "store_lost", "store_back"] == [body["alert"] for body in bodies]
    assert "ada" == bodies[1]["fields"]["user_id"]
    assert not [word for word in (key, UPSTREAM_KEY, provider.base_url) if word in json.dumps(bodies)]
    assert "s3cret-path" not in gateway.logs()
