"""Before a stop the gateway says that it is not ready, and serves whoever still comes."""

from pathlib import Path

import httpx

from scalix_callbacks.demo_provider.testing import DemoProviderServer
from tests.system.asking import CHAT, ask
from tests.system.gateway_process import UPSTREAM_KEY, GatewayProcess, wait_until, write_config

HEALTH = ("/health", "/v1/health", "/health/readiness")


def asked(gateway: GatewayProcess, method: str, path: str) -> httpx.Response:
    """On a connection of its own, as load balancers ask."""
    return httpx.request(method, gateway.url + path, timeout=10)


def test_a_stop_is_announced(provider: DemoProviderServer, tmp_path: Path) -> None:
    """503 from every worker, to GET and HEAD; a second signal ends the waiting."""
    served = {"api_base": provider.base_url, "api_key": UPSTREAM_KEY, "model": "openai/demo"}
    config = write_config(tmp_path / "config.yaml", {"free-gemini-flash": served})
    gateway = GatewayProcess(config, tmp_path / "data", workers=2, SCALIX_READINESS_GRACE_S="120")
    try:
        key = gateway.new_key(user_id="ada", tier="free")
        ready = [asked(gateway, method, path) for method in ("GET", "HEAD") for path in HEALTH]
        gateway.process.terminate()
        # So many in a row come from both workers.
        wait_until(
            lambda: {503} == {asked(gateway, "GET", "/health/readiness").status_code for _ in range(20)}
        )
        announced = [asked(gateway, method, path) for method in ("GET", "HEAD") for path in HEALTH]
        alive = asked(gateway, "GET", "/health/liveness")
        with gateway.client(key) as client:
            answer = client.post(CHAT, json=ask())
    finally:
        assert 0 == gateway.stop()

    assert [200] * 6 == [each.status_code for each in ready]
    assert [503] * 6 == [each.status_code for each in announced]
    assert [b""] * 6 == [each.content for each in (*ready[3:], *announced[3:])]
    assert "stopping" == announced[0].json()["proxy"]["status"]
    assert "5" == announced[3].headers["retry-after"]
    assert 200 == alive.status_code
    assert 200 == answer.status_code, answer.text
