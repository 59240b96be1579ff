"""What the README tells a newcomer to paste, pasted."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from scalix_callbacks.settings.environment import DEMO_MASTER_KEY
from tests.system.gateway_process import ROOT, GatewayProcess

README = (ROOT / "README.md").read_text()
SHELL = [line for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL) for line in block.splitlines()]
CURLS = [line for line in SHELL if line.startswith("curl ")]
ADMIN = [line for line in SHELL if line.startswith(".venv/bin/python scripts/scalix_admin.py")]
[SNIPPET] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
REFUSED = '"model": "gpt-4",'


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """The demo as the README starts it, but for the port and the data directory."""
    folder = tmp_path_factory.mktemp("demo")
    process = GatewayProcess(
        ROOT / "litellm_proxy_config.yaml", folder / "data", "--demo", LITELLM_MASTER_KEY=""
    )
    yield process
    assert process.stop() == 0


def _run(command: str, demo: GatewayProcess) -> str:
    mapped = command.replace("http://127.0.0.1:4000", demo.url).replace(
        ".venv/bin/python scripts/scalix_admin.py",
        f"{sys.executable} scripts/scalix_admin.py --data-dir {demo.data_dir}",
    )
    done = subprocess.run(
        ["bash", "-c", mapped], cwd=ROOT, env=demo.environment, capture_output=True, text=True, timeout=60
    )
    assert 0 == done.returncode, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_the_readme_has_the_commands_that_are_tried_here():
    """If the README changes its shape, these tests must not pass for want of commands."""
    assert (8, 5) == (len(CURLS), len(ADMIN))


@pytest.mark.parametrize("curl", CURLS)
def test_every_curl_works_as_printed(demo, curl):
    """Each answers with JSON: the one that asks for too much with a refusal, the others with success."""
    answer = json.loads(_run(curl, demo))

    assert ("MODEL_NOT_IN_TIER" if REFUSED in curl else None) == answer.get("error", {}).get("code"), answer


def test_the_admin_commands_work_as_printed(demo):
    """For the account the tour made."""
    _run(CURLS[1], demo)
    for command in ADMIN:
        _run(command, demo)


def test_the_tours_client_works_as_printed(demo):
    """OpenAI's SDK with a key that the tour's command made."""
    key = json.loads(_run(CURLS[1].replace("ada", "grace"), demo))["key"]
    program = SNIPPET.replace("http://127.0.0.1:4000", demo.url).replace("scalix_…", key)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)

    assert 0 == done.returncode, done.stderr
    assert "demo provider" in done.stdout


def test_the_printed_curl_works_as_printed(demo):
    """The one that the gateway itself shows when it is ready."""
    printed = re.search(r"curl -sS .*?'\n", demo.output.read_text(), re.DOTALL)

    assert printed is not None
    assert json.loads(_run(printed.group(), demo))["choices"]
    assert DEMO_MASTER_KEY in printed.group()
