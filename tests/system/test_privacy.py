"""A person's data in a running gateway: shown, and erased while calls are in flight."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from scalix_callbacks.demo_provider.testing import DemoProviderServer
from tests.system.asking import CHAT, MODEL, ask, quiet, records, user
from tests.system.gateway_process import GatewayProcess, wait_until


def test_who_is_erased_in_mid_stream_leaves_no_trace(
    limited: GatewayProcess, provider: DemoProviderServer
) -> None:
    """The stream ends well; its record, and all before it, stand under the pseudonym, to the token."""
    provider.reset()
    name, key = user(limited, "premium")
    slow = ask("[demo tokens=60 delay_per_token=0.05]", stream=True, max_tokens=60)
    with limited.client(key) as client, ThreadPoolExecutor(1) as pool:
        client.post(CHAT, json=ask())
        records(limited, name)
        streaming = pool.submit(client.post, CHAT, json=slow)
        provider.wait_for_in_flight(1)
        told = client.get("/v1/user/export").json()
        gone = client.delete("/v1/user").json()
        wait_until(lambda: 401 == client.get("/v1/user").status_code)
        assert 200 == streaming.result().status_code
    quiet(limited)
    kept = records(limited, gone["pseudonym"])

    assert (name, 1) == (told["user_id"], len(told["usage_records"]))
    assert {"user_id": name, "erased": True, "records": 1, "is_complete": True} == {
        field: gone[field] for field in ("user_id", "erased", "records", "is_complete")
    }
    assert [] == records(limited, name)
    assert [5, 60] == [record["completion_tokens"] for record in kept]
    assert {None} == {record["client_request_id"] for record in kept}


@pytest.mark.parametrize("says", [{}, {"store": True}, {"store": None}])
@pytest.mark.parametrize("is_stream", [False, True])
def test_no_provider_keeps_a_response(
    limited: GatewayProcess, provider: DemoProviderServer, says: dict[str, Any], is_stream: bool
) -> None:
    """The Responses API stores what it is not told to forget, whatever the client says."""
    provider.reset()
    _, key = user(limited, "premium")
    with limited.client(key) as client:
        body = {"model": MODEL, "input": "Say hello.", "stream": is_stream, **says}
        answer = client.post("/v1/responses", json=body)
        refused = client.post("/v1/responses", json={**body, "previous_response_id": "resp_1"})
    (sent,) = provider.requests()

    assert (200, 400) == (answer.status_code, refused.status_code), answer.text
    assert ("/v1/responses", False) == (sent["path"], sent["body"]["store"])


def test_an_account_is_managed_over_http(limited: GatewayProcess) -> None:
    """Created, keyed, seen on every worker, given fresh windows, and in a log that is whole."""
    name, _ = user(limited)
    with limited.client() as operator:
        path = f"/scalix/admin/accounts/{name}"
        made = operator.post(f"{path}/keys", json={"expires": "1h"}).json()
        with limited.client(made["key"]) as client:
            for _ in range(3):
                assert 200 == client.post(CHAT, json=ask()).status_code
            quiet(limited)
            reset = operator.post(f"{path}/limits/reset")
            left = client.get("/v1/user").json()["limits"]
        refused = operator.delete("/scalix/admin/accounts/nobody_at_all")
        verdict = operator.get("/scalix/admin/audit/verify").json()

    assert {"id": name, "counters_reset": 3} == reset.json()
    assert {0} == {limit["used"] for limit in left}
    assert (404, "NOT_FOUND") == (refused.status_code, refused.json()["error"]["code"])
    assert verdict["ok"]
