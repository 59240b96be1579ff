"""The smoke test and the tour, run as a newcomer runs them: against the demo, by their scripts."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.system.gateway_process import ROOT, GatewayProcess


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """Two workers with the tiers' own limits."""
    folder = tmp_path_factory.mktemp("demo")
    config = ROOT / "litellm_proxy_config.yaml"
    process = GatewayProcess(config, folder / "data", "--demo", LITELLM_MASTER_KEY="")
    yield process
    assert process.stop() == 0


def run(script: str, gateway: GatewayProcess, *options: str) -> subprocess.CompletedProcess[str]:
    """The script in a folder without settings, told the data directory alone."""
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts" / script), "--data-dir", str(gateway.data_dir), *options],
        cwd=gateway.data_dir.parent,
        env=gateway.environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_every_smoke_check_passes(demo):
    """It finds the gateway and the operator's key by the data directory."""
    done = run("test_scalix_litellm.py", demo, "--test", "all")

    assert (0, "") == (done.returncode, done.stderr), done.stdout
    assert done.stdout.endswith(" ok, 0 failed.\n")
    assert {"free", "pro", "rate-limit", "streaming", "errors"} == {
        line.split(":")[0].split()[-1] for line in done.stdout.splitlines() if line.startswith("ok ")
    }


@pytest.mark.parametrize("suite", ["free", "pro", "rate-limit", "streaming", "errors"])
def test_each_suite_runs_by_itself(demo, suite):
    """And says nothing of the others."""
    done = run("test_scalix_litellm.py", demo, "--test", suite)

    assert 0 == done.returncode, done.stdout
    assert all(f" {suite}: " in line for line in done.stdout.splitlines()[1:-1])


def test_the_tour_goes_its_way(demo):
    """From the free plan over its limit to pro."""
    done = run("scalix_demo.py", demo)
    stations = ("A free user", "80 % of the plan", "The limit is reached", "The upgrade", "Pro")
    places = [done.stdout.find(f"--- {station}") for station in stations]

    assert (0, "") == (done.returncode, done.stderr), done.stdout
    assert -1 not in places
    assert sorted(places) == places
    assert "[Upgrade to Pro](https://scalix.world/pro)" in done.stdout


@pytest.mark.parametrize("script", ["test_scalix_litellm.py", "scalix_demo.py"])
def test_a_key_that_is_not_the_operators_ends_it(demo, script):
    """With one sentence, before anything is tried."""
    done = run(script, demo, "--master-key", "sk-not-the-operators-0123456789")

    assert (1, "") == (done.returncode, done.stdout)
    assert 1 == done.stderr.count("\n")
    assert "does not take this operator's key" in done.stderr
