"""What a running gateway notices about keys is in its audit log, soon and once."""

import json
from typing import Any

from tests.system.asking import CHAT, ask, user
from tests.system.gateway_process import GatewayProcess, admin, wait_until


def noted(gateway: GatewayProcess, name: str) -> list[dict[str, Any]]:
    with gateway.client() as operator:
        told = operator.get("/scalix/admin/audit", params={"user_id": name}).json()
    return [entry for entry in told["entries"] if entry["actor"] == "system"]


def test_refusals_and_new_places_are_in_the_audit_log(limited: GatewayProcess) -> None:
    """However often both workers saw them; nobody's address is in it, and the log is whole."""
    name, key = user(limited)
    with limited.client() as operator:
        keys = operator.get(f"/scalix/admin/accounts/{name}/keys").json()["keys"]
    with limited.client(key, **{"x-forwarded-for": "203.0.113.7"}) as client:
        for _ in range(4):
            assert 403 == client.post(CHAT, json=ask(model="gpt-4")).status_code
            assert 400 == client.post(CHAT, json=ask(api_base="http://elsewhere")).status_code
            assert 403 == client.get("/scalix/admin/ledger").status_code
        entries = wait_until(lambda: len(noted(limited, name)) >= 4 and noted(limited, name))
        with limited.client() as operator:
            assert 200 == operator.post(f"/scalix/admin/keys/{keys[0]['id']}/revoke").status_code
        wait_until(lambda: client.get("/v1/user").status_code == 401)
    after = wait_until(lambda: len(noted(limited, name)) >= 6 and noted(limited, name))

    assert ["FORBIDDEN_FIELD", "MODEL_NOT_IN_TIER", "PERMISSION_DENIED"] == sorted(
        entry["details"]["policy"] for entry in entries if entry["action"] == "policy.refusal"
    )
    assert [keys[0]["id"]] == [e["details"]["key_id"] for e in after if e["action"] == "key.new_place"]
    assert ["key_after_revocation"] == [e["details"]["rule"] for e in after if e["action"] == "anomaly"]
    assert 6 == len(after)
    assert "203.0.113" not in json.dumps(after) and "127.0.0" not in json.dumps(after)
    assert "as they were written" in admin(limited, "audit", "verify")
