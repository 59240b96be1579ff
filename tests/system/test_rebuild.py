"""After Redis was emptied, the operator's command brings back what everybody has used."""

import uuid

import httpx
import redis

from scalix_callbacks.cli.state import read_state
from tests.system.gateway_process import MASTER_KEY, admin, wait_until

CHAT = "/v1/chat/completions"


def test_an_emptied_redis_has_its_counters_back(limited):
    """Nobody has a second limit; the ledger is what counts."""
    headers = {"authorization": f"Bearer {limited.new_key(user_id=f'u_{uuid.uuid4().hex}', tier='free')}"}
    body = {"model": "free-gemini-flash", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 2}

    def used():
        limits = httpx.get(f"{limited.url}/v1/user", headers=headers).json()["limits"]
        return [(limit["unit"], limit["window_s"], limit["used"], limit["resets_at"]) for limit in limits]

    def pending():
        with limited.client(MASTER_KEY) as operator:
            return operator.get("/scalix/admin/outbox").json()["pending"]

    for _ in range(3):
        assert 200 == httpx.post(f"{limited.url}{CHAT}", json=body, headers=headers, timeout=30).status_code
    before = used()
    wait_until(lambda: pending() == 0, 30)
    state = read_state(limited.data_dir / "launcher.json")
    with redis.Redis(unix_socket_path=state.redis_socket) as client:
        client.flushall()
    assert [0, 0, 0] == [amount for _, _, amount, _ in used()]
    told = admin(limited, "rebuild")

    assert "are those of the ledger" in told
    assert before == used()
    assert 3 == before[0][2]
