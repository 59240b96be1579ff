"""The disk under the data directory gets full under load: nobody sees an error 500, and no call is lost."""

import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from scalix_callbacks.demo_provider.testing import DemoProviderServer
from tests.system.asking import CHAT, ask, health, quiet, standing, user
from tests.system.gateway_process import UPSTREAM_KEY, GatewayProcess, wait_until, write_config
from tests.system.small_disk import SmallDisk, full

MEGABYTES = 40
TOKENS = 5
WIDE = {"limits": [{"unit": "requests", "amount": 100_000, "window": "1h"}]}
TIERS = {"tiers": {"free": WIDE, "pro": WIDE}}


@dataclass(frozen=True, slots=True)
class Told:
    """What one client was told: the status, and the code of an error."""

    request_id: str
    status: int
    code: str | None


class Load:
    """Clients of one user, one call after the other, until they are told to stop."""

    def __init__(self, gateway: GatewayProcess, key: str, clients: int = 3) -> None:
        self.told: list[Told] = []
        self._gateway, self._key = gateway, key
        self._is_over = threading.Event()
        self._pool = ThreadPoolExecutor(clients)
        self._clients = [self._pool.submit(self._ask_on, number) for number in range(clients)]

    def since(self, start: int) -> list[int]:
        return [told.status for told in self.told[start:]]

    def stop(self) -> None:
        self._is_over.set()
        for client in self._clients:
            client.result()
        self._pool.shutdown()

    def _ask_on(self, number: int) -> None:
        with self._gateway.client(self._key) as client:
            while not self._is_over.is_set():
                self.told.append(_one(client, is_stream=number % 2 == 1))


def _one(client: httpx.Client, *, is_stream: bool) -> Told:
    request_id = uuid.uuid4().hex
    body = ask(f"[demo tag={request_id} tokens={TOKENS} delay_per_token=0.002]", stream=is_stream)
    answer = client.post(CHAT, json=body, headers={"x-scalix-request-id": request_id})
    if answer.status_code == 200:
        assert '"error"' not in answer.text
        return Told(request_id, 200, None)
    return Told(request_id, answer.status_code, answer.json()["error"]["code"])


@pytest.fixture
def gateway(provider: DemoProviderServer, tmp_path: Path) -> Iterator[GatewayProcess]:
    served = {"api_base": provider.base_url, "api_key": UPSTREAM_KEY}
    models = {"free-gemini-flash": {"model": "openai/demo", **served}}
    config = write_config(tmp_path / "small.yaml", models, scalix=TIERS)
    process = GatewayProcess(
        config, tmp_path / "data", workers=2, disk=SmallDisk(tmp_path / "data", MEGABYTES)
    )
    yield process
    assert 0 == process.stop()


@pytest.mark.timeout(300)
def test_a_full_disk_loses_no_call(gateway: GatewayProcess, provider: DemoProviderServer) -> None:
    """Free calls are refused with 503, paid ones go on; with space again each call is in the ledger, once."""
    provider.reset()
    users = {tier: user(gateway, tier) for tier in ("free", "pro")}
    loads = {tier: Load(gateway, key) for tier, (_, key) in users.items()}
    try:
        wait_until(lambda: all(len(load.told) >= 10 for load in loads.values()))
        with full(gateway.data_dir):
            wait_until(lambda: 503 in loads["free"].since(0))
            began = {tier: len(load.told) for tier, load in loads.items()}
            wait_until(lambda: loads["free"].since(began["free"]).count(503) >= 20)
            wait_until(lambda: loads["pro"].since(began["pro"]).count(200) >= 50, 60)
            meanwhile = health(gateway)
            firsts = asked_in_new_ways(gateway, users["pro"][1])
        after = {tier: len(load.told) for tier, load in loads.items()}
        for tier in users:
            wait_until(lambda tier=tier: 20 <= loads[tier].since(after[tier]).count(200))
    finally:
        for load in loads.values():
            load.stop()
    wait_until(lambda: health(gateway)["status"] == "ok")
    quiet(gateway)
    billed = Counter(call["tag"] for call in provider.calls())

    assert meanwhile["status"] != "ok"
    assert {200, 502} == firsts
    for tier, (name, key) in users.items():
        told = loads[tier].told
        assert {(200, None)} <= {(each.status, each.code) for each in told}
        assert {(each.status, each.code) for each in told} <= {(200, None), (503, "SERVICE_UNAVAILABLE")}
        answered = [each.request_id for each in told if each.status == 200]
        # What waits in a worker is not in the figures of the outbox: it may come a little later.
        wait_until(lambda name=name, answered=answered: is_kept(gateway, name, answered), 30)
        kept = all_records(gateway, name)
        by_id = Counter(each["client_request_id"] for each in kept if each["client_request_id"])
        others = [each for each in kept if not each["client_request_id"]]
        assert len(others) == (40 if tier == "pro" else 0)
        assert {request_id: 1 for request_id in answered} == {each: by_id[each] for each in answered}
        assert {each for each in (one.request_id for one in told) if billed[each]} <= set(by_id)
        assert {1} == set(by_id.values())
        counted = standing(gateway, key)
        assert sum(record["requests_counted"] for record in kept) == counted["requests_this_hour"]
        assert (
            len(answered) + sum(each["outcome"] == "ok" for each in others) == counted["requests_this_hour"]
        )
    assert "Traceback" not in gateway.logs()
    assert "died" not in gateway.logs()


def asked_in_new_ways(gateway: GatewayProcess, key: str) -> set[int]:
    """What is counted for the first time needs space for its numbers."""
    model = {"model": "free-gemini-flash"}
    with gateway.client(key) as client:
        return {
            client.post(path, json=body).status_code
            for path, body in (
                ("/v1/completions", {**model, "prompt": "Hello"}),
                ("/v1/responses", {**model, "input": "Hello"}),
                ("/v1/messages", ask(max_tokens=20)),
                (CHAT, ask("[demo fail=500]")),
            )
            for _ in range(10)
        }


def is_kept(gateway: GatewayProcess, name: str, request_ids: list[str]) -> bool:
    return set(request_ids) <= {each["client_request_id"] for each in all_records(gateway, name)}


def all_records(gateway: GatewayProcess, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = None
    with gateway.client() as operator:
        while True:
            page = operator.get(
                "/scalix/admin/ledger",
                params={"user_id": name, "limit": 1000, **({"cursor": cursor} if cursor else {})},
            ).json()
            found += page["records"]
            cursor = page["next"]
            if cursor is None:
                return found
