"""A real gateway, started as its operator starts it, for tests that drive it from outside."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.system.small_disk import SmallDisk

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "start_scalix_litellm.py"
MASTER_KEY = "sk-master-f00d0123456789abcdef"
UPSTREAM_KEY = "sk-upstream-5ecret0123456789abcd"
START_TIMEOUT_S = 150.0


def wait_until(condition: Callable[[], Any], timeout_s: float = 30.0) -> Any:
    """The first true value of `condition`; AssertionError when there is none in time."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(0.05)
    return value


def plain_environment(**values: str) -> dict[str, str]:
    """This process's environment without anything that configures a gateway."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SCALIX_", "LITELLM_", "REDIS_")) and not name.endswith("_API_KEY")
    }
    return {**kept, "LITELLM_MASTER_KEY": MASTER_KEY, **values}


def write_config(path: Path, models: Mapping[str, Mapping[str, Any]], **sections: Any) -> Path:
    """A configuration that names the models alone, as one written for plain LiteLLM would.

    Args:
        models: `litellm_params` by name; `model_info` beside them goes where it belongs.
    """
    entries = []
    for name, params in models.items():
        beside = {"model_info": params["model_info"]} if "model_info" in params else {}
        given = {each: value for each, value in params.items() if each != "model_info"}
        entries.append({"model_name": name, "litellm_params": given, **beside})
    path.write_text(yaml.safe_dump({"model_list": entries, **sections}))
    return path


class GatewayProcess:
    """`start_scalix_litellm.py --config …` in the foreground, until `stop`."""

    def __init__(
        self,
        config: Path,
        data_dir: Path,
        *options: str,
        workers: int = 1,
        disk: SmallDisk | None = None,
        **environment: str,
    ) -> None:
        self.data_dir = data_dir
        self.output = data_dir.parent / f"{data_dir.name}.out"
        self.environment = plain_environment(**environment)
        with self.output.open("wb") as sink:
            self.process = subprocess.Popen(
                [
                    *(disk.command if disk is not None else ()),
                    *(sys.executable, str(SCRIPT), "--config", str(config), "--data-dir", str(data_dir)),
                    *("--port", "0", "--workers", str(workers), *options),
                ],
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=self.environment,
                cwd=data_dir.parent,
            )
        if disk is not None:
            self.data_dir = disk.seen_by(self.process.pid)
        try:
            self.url = str(wait_until(self._ready_url, START_TIMEOUT_S))
        except BaseException:
            self.process.terminate()
            self.process.wait(60)
            raise

    def _ready_url(self) -> str | None:
        assert self.process.poll() is None, f"the gateway did not start:\n{self.output.read_text()}"
        try:
            state = json.loads((self.data_dir / "launcher.json").read_text())
            ready = httpx.get(f"{state['url']}/v1/health", timeout=5).status_code == 200
        except (OSError, ValueError, KeyError, httpx.HTTPError):
            return None
        return state["url"] if ready and "curl" in self.output.read_text() else None

    def client(self, key: str | None = MASTER_KEY, **headers: str) -> httpx.Client:
        """An HTTP client with this key."""
        credential = {} if key is None else {"authorization": f"Bearer {key}"}
        return httpx.Client(base_url=self.url, headers={**credential, **headers}, timeout=60)

    def new_key(self, **fields: Any) -> str:
        """A fresh key, made as an operator makes one."""
        with self.client() as operator:
            answer = operator.post("/key/generate", json=fields)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["key"])

    def logs(self) -> str:
        """All that was written for people: log files and the terminal."""
        files = sorted(self.data_dir.glob("logs/*"))
        return "".join(path.read_text(errors="replace") for path in [*files, self.output])

    def stop(self) -> int:
        """Asks it to end, as Ctrl-C would, and gives its exit code."""
        self.process.terminate()
        return self.process.wait(timeout=60)


def admin(gateway: GatewayProcess, *arguments: str) -> str:
    """What the operator's tool prints for a gateway that runs."""
    done = run_admin(gateway, *arguments)
    assert 0 == done.returncode, done.stderr
    return done.stdout


def run_admin(gateway: GatewayProcess, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "scripts" / "scalix_admin.py", "--data-dir", gateway.data_dir, *arguments],
        env=gateway.environment,
        capture_output=True,
        text=True,
    )
