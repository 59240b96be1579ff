"""The doctor as an operator runs it: on a gateway that is well, and on one where much is wrong."""

import json
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from scalix_callbacks.cli.doctor import hooks
from scalix_callbacks.cli.doctor.finding import Level
from scalix_callbacks.cli.doctor.probe_report import Mode
from scalix_callbacks.proxy.callbacks import HOOKS
from scalix_callbacks.settings import load
from tests.system.gateway_process import MASTER_KEY, ROOT, UPSTREAM_KEY, GatewayProcess, plain_environment

SCRIPT = ROOT / "scripts" / "debug_litellm.py"
TIMEOUT_S = 120


@dataclass(frozen=True)
class Run:
    code: int
    out: str
    err: str

    def lines(self, name: str) -> list[str]:
        """The lines of one check, as `level words`."""
        found = [line.split(maxsplit=1) for line in self.out.splitlines()]
        return [f"{level} {rest[len(name) + 2 :]}" for level, rest in found if rest.startswith(f"{name}: ")]


def run(*arguments: str, cwd: Path, environment: dict[str, str]) -> Run:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        cwd=cwd,
        env=environment,
    )
    return Run(done.returncode, done.stdout, done.stderr)


def test_a_gateway_that_is_well(gateway: GatewayProcess, tmp_path: Path) -> None:
    """Nothing is broken, every hook was seen running, and no key or provider's address is told."""
    data_dir = gateway.data_dir
    before = {path for path in data_dir.parent.rglob("*")}
    port = str(urlsplit(gateway.url).port)

    done = run(
        *(
            "--config",
            str(data_dir.parent / "elsewhere.yaml"),
            "--data-dir",
            str(data_dir),
            "--live",
            "--json",
        ),
        cwd=tmp_path,
        environment={**gateway.environment, "LITELLM_PORT": port},
    )

    assert (0, "") == (done.code, done.err), done.out
    told: dict[str, Any] = json.loads(done.out)
    found = {entry["name"]: entry for entry in told["findings"]}
    assert not told["broken"]
    assert set() == {f"hook {hook}" for hook in (*HOOKS, "custom_auth")} - found.keys()
    for name in (
        "settings",
        "deployments",
        "running gateway",
        "port",
        "Redis",
        "database",
        "provider openai",
    ):
        assert Level.OK == found[name]["level"], found[name]
    assert "running gateway" in found["Redis"]["found"]
    assert "used by this gateway itself" in found["port"]["found"]
    assert "keys are not tested" in found["provider openai"]["found"]
    # This configuration names nothing of ours, so only our launcher serves it with the pack.
    assert Level.WARNING == found["litellm --config"]["level"]
    for secret in (MASTER_KEY, UPSTREAM_KEY, _upstream(data_dir.parent)):
        assert secret not in done.out
    assert before >= {path for path in data_dir.parent.rglob("*") if "-wal" not in path.name}
    assert not list(tmp_path.iterdir())


def _upstream(folder: Path) -> str:
    """Host and port of the scripted provider."""
    _, _, rest = (folder / "elsewhere.yaml").read_text().partition("http://")
    return rest.partition("/")[0]


@pytest.fixture(scope="module")
def ill(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """The project's own configuration, on a machine where much is wrong at once."""
    folder = tmp_path_factory.mktemp("ill")
    with sqlite3.connect(folder / "theirs.db") as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    lock = (ROOT / "requirements.lock").read_text().replace("\nredis==", "\nredis==0.0.")
    (folder / "requirements.lock").write_text(lock)
    (folder / "scalix_config.env").write_text("OLLAMA_BASE_URL=\n")
    (folder / "scalix_config.env").chmod(0o644)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield run(
            *("--data-dir", str(folder / "data"), "--lock", str(folder / "requirements.lock")),
            cwd=folder,
            environment=plain_environment(
                LITELLM_PORT=str(listener.getsockname()[1]),
                REDIS_URL="redis://:hidden-word@127.0.0.1:9/0",
                SCALIX_DATABASE_URL=f"sqlite:///{folder / 'theirs.db'}",
                DATABASE_URL="postgresql://u:hidden-word@h/d",
            ),
        )


@pytest.mark.parametrize(
    ("name", "beginning", "mend"),
    [
        ("packages", "broken Other versions than locked: redis", "pip install"),
        ("models", "broken None has credentials", "--demo"),
        ("port", "broken", "LITELLM_PORT"),
        ("Redis", "broken REDIS_URL: no Redis answers", "Start it"),
        ("database", "broken It holds the tables of another program", "SCALIX_DATABASE_URL"),
        ("LiteLLM's database", "warning DATABASE_URL: set", "SCALIX_DATABASE_URL"),
        ("env file", "warning", "chmod 600"),
        ("tier free", "warning", "Set a key"),
        ("master key", "ok Set", ""),
        ("running gateway", "ok None", ""),
        ("litellm --config", "ok Alone, it would call all hooks", ""),
        ("providers", "ok Not asked", ""),
    ],
)
def test_what_is_wrong_is_told_with_the_mend(ill: Run, name: str, beginning: str, mend: str) -> None:
    """One line for each thing, though all are wrong at once."""
    line = ill.lines(name)[0]

    assert line.startswith(beginning), line
    assert mend in line


def test_the_last_line_names_what_is_broken(ill: Run) -> None:
    """Exit code 1, no traceback, no password, and the hooks were tried all the same."""
    assert (1, "") == (ill.code, ill.err)
    last = ill.out.splitlines()[-1]
    assert (
        "Broken: packages, models, port, Redis, database. Do what the lines say and run this again." == last
    )
    assert "hidden-word" not in ill.out
    for hook in HOOKS:
        assert ill.lines(f"hook {hook}")[0].startswith("ok LiteLLM called it"), hook


def test_a_wrong_yaml(tmp_path: Path) -> None:
    """The file and the line are told; what does not need it is examined all the same."""
    (tmp_path / "config.yaml").write_text("model_list:\n  - model_name: a\n  litellm_params: {\n")

    done = run("--config", "config.yaml", "--data-dir", "data", cwd=tmp_path, environment=plain_environment())

    assert (1, "") == (done.code, done.err)
    assert "config.yaml, line 3" in done.lines("settings")[0]
    assert done.lines("hooks")[0].startswith("warning Not checked")
    assert done.lines("Redis version")[0].startswith("ok")
    assert done.out.endswith("Broken: settings. Do what the lines say and run this again.\n")
    assert ["config.yaml"] == os.listdir(tmp_path)


SABOTAGE = """
import sys
from litellm.proxy import utils

async def nothing(self, **_):
    return None

utils.ProxyLogging.post_call_failure_hook = nothing
from scalix_callbacks.cli.doctor.hook_probe import main
main(sys.argv[1:])
"""


def test_a_hook_that_litellm_no_longer_calls_is_found(tmp_path: Path) -> None:
    """Registered as ever, but an upgrade has forgotten it; and a deployment LiteLLM cannot read is named."""
    config = tmp_path / "config.yaml"
    config.write_text(
        "model_list:\n"
        "- {model_name: good, litellm_params: {model: openai/x, api_key: k}}\n"
        "- {model_name: half, litellm_params: {model: openai/x, api_key: k}}\n"
        "- {model_name: half, litellm_params: {model: openai/y, api_key: k, use_in_pass_through: many}}\n"
    )
    settings = load({"LITELLM_MASTER_KEY": MASTER_KEY}, config=config, folder=tmp_path)

    reports = hooks.probe(
        plain_environment(), settings, tmp_path, None, command=(sys.executable, "-c", SABOTAGE)
    )

    seen = reports[Mode.PACK]
    assert (None, (), ("half",)) == (seen.failure, seen.problems, seen.dropped)
    assert {"async_post_call_failure_hook"} == {hook for hook, calls in seen.hooks.items() if not calls}
    levels = {finding.name: finding.level for finding in hooks.of_pack(seen)}
    assert (Level.BROKEN, Level.OK) == (
        levels["hook async_post_call_failure_hook"],
        levels["hook async_pre_call_hook"],
    )
