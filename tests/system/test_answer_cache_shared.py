"""The answer cache where a tier shares it, where another has none, and where Redis goes away."""

import uuid
from pathlib import Path

from scalix_callbacks.demo_provider.testing import DemoProviderServer
from tests.system.asking import CHAT, MODEL, ask, user
from tests.system.gateway_process import UPSTREAM_KEY, GatewayProcess, wait_until, write_config
from tests.system.test_store_lost import hung_redis

HEADER = "x-scalix-cache"


def test_a_tier_shares_its_answers_or_has_none(provider: DemoProviderServer, tmp_path: Path) -> None:
    """Free users share, pro users have none, premium users each their own; who is erased leaves none.

    While Redis stands still, a call of a tier that goes on is answered by its provider.
    """
    served = {"model": "openai/demo", "api_base": provider.base_url, "api_key": UPSTREAM_KEY}
    tiers = {"free": {"cache": "shared", "limits": []}, "pro": {"cache": "off"}}
    config = write_config(tmp_path / "c.yaml", {MODEL: served}, scalix={"tiers": tiers})
    gateway = GatewayProcess(config, tmp_path / "data")
    keys = {name: user(gateway, name.partition("-")[0])[1] for name in ("free", "free-2", "pro", "premium")}
    body = ask(uuid.uuid4().hex, temperature=0)

    def said(name: str) -> str | None:
        with gateway.client(keys[name]) as client:
            answer = client.post(CHAT, json=body)
        assert 200 == answer.status_code, answer.text
        return answer.headers.get(HEADER)

    assert "miss" == said("free")
    wait_until(lambda: "hit" == said("free"), 10)
    assert ["hit", None, "miss"] == [said(name) for name in ("free-2", "pro", "premium")]
    with gateway.client(keys["free"]) as client:
        assert client.delete("/v1/user").json()["is_complete"]
    assert "miss" == said("free-2")

    wait_until(lambda: "hit" == said("premium"), 10)
    with hung_redis(gateway):
        assert said("premium") is None
    assert 0 == gateway.stop()
