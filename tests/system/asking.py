"""How the tests of limits ask a running gateway, and what they ask it afterwards."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from tests.system.gateway_process import GatewayProcess, wait_until

CHAT = "/v1/chat/completions"
MODEL = "free-gemini-flash"


def ask(content: str = "Say hello.", **fields: Any) -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": content}], "max_tokens": 5, **fields}


def at_once(
    gateway: GatewayProcess, key: str, bodies: list[dict[str, Any]], headers=None, path: str = CHAT
) -> list[httpx.Response]:
    """All bodies sent at the same time, each on a connection of its own."""

    def send(numbered: tuple[int, dict[str, Any]]) -> httpx.Response:
        i, body = numbered
        with gateway.client(key, **(headers(i) if headers else {})) as client:
            return client.post(path, json=body)

    with ThreadPoolExecutor(len(bodies)) as pool:
        return list(pool.map(send, enumerate(bodies)))


def user(gateway: GatewayProcess, tier: str = "free") -> tuple[str, str]:
    name = f"{tier}_{uuid.uuid4().hex}"
    return name, gateway.new_key(user_id=name, tier=tier)


def quiet(gateway: GatewayProcess) -> None:
    """Nothing held, nothing on its way to the ledger."""
    with gateway.client() as operator:
        wait_until(
            lambda: {"pending": 0, "reservations_held": 0} == operator.get("/scalix/admin/outbox").json(), 15
        )


def records(gateway: GatewayProcess, name: str) -> list[dict[str, Any]]:
    quiet(gateway)
    with gateway.client() as operator:
        page = operator.get("/scalix/admin/ledger", params={"user_id": name, "limit": 1000}).json()
    assert page["next"] is None
    return page["records"]


def only_record(gateway: GatewayProcess, name: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = wait_until(lambda: records(gateway, name))
    assert 1 == len(found)
    return found[0]


def standing(gateway: GatewayProcess, key: str) -> dict[str, Any]:
    with gateway.client(key) as client:
        return client.get("/v1/user").json()["usage"]


def health(gateway: GatewayProcess) -> dict[str, Any]:
    return dict(httpx.get(f"{gateway.url}/v1/health", timeout=10).json())
