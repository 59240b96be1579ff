"""A gateway under load is backed up, lost with all it had, and restored."""

import json
import shutil
import threading
import uuid
from pathlib import Path
from typing import Any

import httpx

from scalix_callbacks.demo_provider.testing import DemoProviderServer
from tests.system.asking import CHAT, MODEL, ask, quiet, records
from tests.system.gateway_process import (
    UPSTREAM_KEY,
    GatewayProcess,
    admin,
    run_admin,
    wait_until,
    write_config,
)

ENOUGH, AT_MOST = 10, 80
"""Calls before the backup, and calls in all: a pro user has 100 an hour."""


def refused(gateway: GatewayProcess, *arguments: str) -> str:
    """The sentence of a command that does nothing."""
    done = run_admin(gateway, *arguments)
    assert 1 == done.returncode, done.stdout
    return done.stderr


def test_what_was_backed_up_under_load_is_all_there_again(
    provider: DemoProviderServer, tmp_path: Path
) -> None:
    """Keys work, every record of the backup is there once, and the counters are those of the ledger."""
    model = {MODEL: {"model": "openai/demo", "api_base": provider.base_url, "api_key": UPSTREAM_KEY}}
    config = write_config(tmp_path / "config.yaml", model)
    folder = tmp_path / "backup"
    gateway = GatewayProcess(config, tmp_path / "data")
    name = f"pro_{uuid.uuid4().hex}"
    key = gateway.new_key(user_id=name, tier="pro")
    ended, enough = list[int](), threading.Event()

    def call_until_enough() -> None:
        with gateway.client(key) as client:
            while not enough.is_set() and len(ended) < AT_MOST:
                ended.append(client.post(CHAT, json=ask()).status_code)

    callers = [threading.Thread(target=call_until_enough) for _ in range(2)]
    for caller in callers:
        caller.start()
    try:
        wait_until(lambda: len(ended) >= ENOUGH)
        surely = {record["call_id"] for record in page(gateway, name)}
        told = json.loads(admin(gateway, "backup", str(folder), "--json"))
        assert "a gateway runs here. Stop it" in refused(gateway, "restore", str(folder))
    finally:
        enough.set()
        for caller in callers:
            caller.join()
    before = {record["call_id"] for record in records(gateway, name)}
    gateway.stop()
    shutil.rmtree(gateway.data_dir)

    said = admin(gateway, "restore", str(folder))
    assert "Now start the gateway" in said
    assert "of the audit log are as written" in said
    again = GatewayProcess(config, gateway.data_dir)
    try:
        quiet(again)
        assert "are those of the ledger" in admin(again, "rebuild")
        restored = records(again, name)
        ids = [record["call_id"] for record in restored]

        assert {200} == set(ended)
        assert len(ids) == len(set(ids)) >= told["records"] >= len(surely)
        assert surely <= set(ids) <= before
        assert summed(restored) == used(again, key)
        with again.client(key) as client:
            assert 200 == client.post(CHAT, json=ask()).status_code
        assert len(restored) + 1 == len(records(again, name))
    finally:
        again.stop()


def page(gateway: GatewayProcess, name: str) -> list[dict[str, Any]]:
    """What the ledger has now, with records on their way to it left out."""
    with gateway.client() as operator:
        answer = operator.get("/scalix/admin/ledger", params={"user_id": name, "limit": 1000})
    return list(answer.json()["records"])


def summed(kept: list[dict[str, Any]]) -> dict[str, int]:
    tokens = sum((each["prompt_tokens"] or 0) + (each["completion_tokens"] or 0) for each in kept)
    return {"requests": sum(each["requests_counted"] for each in kept), "tokens": tokens}


def used(gateway: GatewayProcess, key: str) -> dict[str, int]:
    headers = {"authorization": f"Bearer {key}"}
    limits = httpx.get(f"{gateway.url}/v1/user", headers=headers).json()["limits"]
    return {limit["unit"]: limit["used"] for limit in limits}
