"""A real Prometheus with the rules of deploy/ scrapes a real gateway of two workers."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.deploy.prometheus_tools import DEPLOY, program
from tests.system.asking import CHAT, MODEL, ask, at_once, user
from tests.system.gateway_process import MASTER_KEY, GatewayProcess, wait_until
from tests.system.test_store_lost import hung_redis

FOLDER = DEPLOY / "prometheus"


class Prometheus:
    """Its HTTP API."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, path: str, **query: str) -> Any:
        try:
            answer = httpx.get(f"{self.url}/api/v1/{path}", params=query, timeout=10)
        except httpx.HTTPError:
            return None
        return answer.json()["data"] if answer.status_code == 200 else None

    def value(self, query: str) -> float | None:
        """Of a query with one series; None: there is none."""
        found = self.ask("query", query=query)
        return float(found["result"][0]["value"][1]) if found and found["result"] else None

    def firing(self) -> set[str]:
        found = self.ask("alerts") or {"alerts": []}
        return {alert["labels"]["alertname"] for alert in found["alerts"] if alert["state"] == "firing"}


@contextmanager
def prometheus(gateway: GatewayProcess, folder: Path) -> Iterator[Prometheus]:
    """With the shipped configuration, but for the gateway's address and how often it looks."""
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(FOLDER / "alerts.yml")]
    config["scrape_configs"][0]["static_configs"][0]["targets"] = [gateway.url.removeprefix("http://")]
    (folder / "master_key").write_text(MASTER_KEY)
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [
        program("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
    ]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        yield Prometheus(f"http://{address}")
    finally:
        process.terminate()
        process.wait(timeout=30)


def test_prometheus_sums_a_load_and_tells_that_redis_is_lost(limited: GatewayProcess, tmp_path: Path) -> None:
    """What it reads is what was asked, over both workers; the alert comes with the loss and goes with it."""
    _, key = user(limited, "premium")
    _, free = user(limited)
    with prometheus(limited, tmp_path) as told:
        wait_until(lambda: told.value("up") == 1 and told.value("sum(scalix_workers)") == 2, 60)

        def asked(tier: str) -> float:
            return told.value(f'sum(scalix_requests_total{{user_type="{tier}",endpoint="chat"}})') or 0

        before, free_before = asked("premium"), asked("free")
        refused_before = told.value('sum(scalix_limits_refused_total{user_type="free"})') or 0
        at_once(limited, key, [ask(model=MODEL) for _ in range(20)])
        answers = at_once(limited, free, [ask(model=MODEL) for _ in range(14)])
        refused = sum(answer.status_code == 429 for answer in answers)

        assert 4 == refused
        wait_until(lambda: asked("premium") == before + 20 and asked("free") == free_before + 14, 30)
        wait_until(
            lambda: told.value('sum(scalix_limits_refused_total{user_type="free"})') == refused_before + 4, 30
        )
        assert "ScalixStoreLost" not in told.firing()
        with hung_redis(limited):
            with limited.client(free) as client:
                assert 503 == client.post(CHAT, json=ask()).status_code
            wait_until(lambda: "ScalixStoreLost" in told.firing(), 60)
        wait_until(lambda: "ScalixStoreLost" not in told.firing(), 60)
        assert told.value("up") == 1
