"""Usage and bills of a running gateway, as the app and the operator ask for them."""

import json
import subprocess
import sys
import uuid
from datetime import UTC, datetime
from typing import Any

from tests.system.asking import CHAT, ask, quiet, records, user
from tests.system.gateway_process import ROOT, GatewayProcess


def got(gateway: GatewayProcess, path: str, key: str | None = None, **params: Any) -> Any:
    with gateway.client(key) if key else gateway.client() as client:
        answer = client.get(path, params=params)
    assert 200 == answer.status_code, answer.text
    return answer.json()


def test_usage_agrees_with_the_ledger(gateway: GatewayProcess) -> None:
    """By day and model, for the user, the operator and LiteLLM's clients alike."""
    name, key = user(gateway, "pro")
    with gateway.client(key) as client:
        for model in ("gpt-4.1", "free-gemini-flash", "gpt-4.1"):
            assert 200 == client.post(CHAT, json=ask(model=model)).status_code
        assert 500 <= client.post(CHAT, json=ask(model="free-refused")).status_code
    kept = records(gateway, name)
    tokens = sum((record["prompt_tokens"] or 0) + (record["completion_tokens"] or 0) for record in kept)
    stats = got(gateway, "/v1/user/stats", key)
    usage = got(gateway, "/v1/user/usage", key)
    by_model = got(gateway, "/scalix/admin/usage", by="model", user_id=name)
    errors = got(gateway, "/scalix/admin/usage", by="category", user_id=name)
    logs = got(gateway, "/spend/logs", user_id=name)

    assert (name, "pro", 4, 3, tokens) == (
        *(stats["user_id"], stats["tier"]),
        *(stats["analytics"][each] for each in ("calls", "requests", "tokens")),
    )
    assert ("100%", 0) == (stats["analytics"]["model_efficiency"], stats["analytics"]["fallback_usage"])
    assert stats["analytics"]["response_time_avg"].endswith("s")
    assert (4, tokens) == (usage["total"]["calls"], usage["total"]["total_tokens"])
    assert [("free-gemini-flash", 1), ("free-refused", 1), ("gpt-4.1", 2)] == [
        (row["model"], row["calls"]) for row in by_model["usage"]
    ]
    assert [(None, 3), ("PROVIDER_ERROR", 1)] == [(row["category"], row["calls"]) for row in errors["usage"]]
    assert {record["request_id"] for record in kept} == {log["request_id"] for log in logs}


def test_a_free_user_sees_the_basic_analytics(gateway: GatewayProcess) -> None:
    """And whoever has no key sees none."""
    _, key = user(gateway, "free")
    analytics = got(gateway, "/v1/user/stats", key, **{"from": "2030-01-01", "to": "2030-01-31"})["analytics"]

    assert (0, None) == (analytics["calls"], analytics.get("model_efficiency"))
    for path, status in (("/scalix/admin/usage", 403), ("/scalix/admin/bills", 403), ("/spend/logs", 403)):
        with gateway.client(key) as client:
            assert status == client.get(path).status_code
    with gateway.client(None) as nobody:
        assert 401 == nobody.get("/v1/user/stats").status_code


def test_a_bill_over_http_and_on_the_command_line(gateway: GatewayProcess) -> None:
    """Both say the same, model by model; nobody's month is one sentence."""
    name, key = user(gateway, "free")
    with gateway.client(key) as client:
        assert 200 == client.post(CHAT, json=ask()).status_code
    quiet(gateway)
    month = datetime.now(UTC).strftime("%Y-%m")
    told = got(gateway, "/scalix/admin/bills", month=month, user_id=name)
    script = [sys.executable, str(ROOT / "scripts" / "scalix_admin.py"), "--data-dir", str(gateway.data_dir)]
    typed = subprocess.run(
        [*script, "bills", "show", month, "--user", name, "--json"],
        capture_output=True,
        text=True,
        env=gateway.environment,
        timeout=60,
        check=True,
    )

    assert [("free-gemini-flash", "free", 1)] == [
        (line["model"], line["tier"], line["calls"]) for line in told["bills"][0]["lines"]
    ]
    assert told["bills"] == json.loads(typed.stdout)["bills"]
    with gateway.client() as operator:
        refused = operator.get("/scalix/admin/bills", params={"month": month, "user_id": uuid.uuid4().hex})
    assert (404, "user_id") == (refused.status_code, refused.json()["error"]["param"])
