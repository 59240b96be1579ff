"""One real gateway with a scripted provider, shared by the tests of this folder that do not stop it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from scalix_callbacks.core.rollout import DEFAULT_FLAGS
from scalix_callbacks.demo_provider.testing import DemoProviderServer
from tests.system.gateway_process import UPSTREAM_KEY, GatewayProcess, write_config

MODELS = (
    "free-gemini-flash",
    "free-gemini-pro",
    "scalix-engine",
    "gpt-4.1",
    "gpt-4",
    "claude-3-opus",
    "anthropic/*",
)
CHAINS = [{"free-gemini-pro": ["free-gemini-flash"]}]
UNLIMITED = {
    "tiers": {"free": {"limits": []}, "pro": {"limits": []}},
    # A minute is a second there; nobody has a flag until a test says so.
    "rollout": {
        "flags": {name: {"percent": 0, "daily_percent": 0} for name in (*DEFAULT_FLAGS, "trial")},
        "triggers": {"minute_s": 1, "error_minutes": 3, "min_calls": 1},
    },
}


@pytest.fixture(scope="session")
def provider() -> Iterator[DemoProviderServer]:
    with DemoProviderServer() as server:
        yield server


@pytest.fixture(scope="session")
def gateway(
    provider: DemoProviderServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    """Two workers without limits, with a configuration outside the project that names nothing of ours."""
    yield from _running(provider, tmp_path_factory.mktemp("gateway"), scalix=UNLIMITED)


@pytest.fixture(scope="session")
def limited(
    provider: DemoProviderServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    """The same with the tiers' own limits."""
    yield from _running(provider, tmp_path_factory.mktemp("limited"))


@pytest.fixture(scope="module")
def watched(
    provider: DemoProviderServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    """As `limited`, for one module alone: nobody else's calls are among its figures."""
    yield from _running(provider, tmp_path_factory.mktemp("watched"))


def _running(provider: DemoProviderServer, folder: Path, **sections: object) -> Iterator[GatewayProcess]:
    served = {"api_base": provider.base_url, "api_key": UPSTREAM_KEY}
    models = {name: {"model": f"openai/{'*' if '*' in name else 'demo'}", **served} for name in MODELS}
    models["free-without-key"] = {"model": "openai/demo", "api_key": "os.environ/NOBODY_SETS_THIS"}
    models["free-refused"] = {"model": "openai/demo-fail-500", **served}
    config = write_config(
        folder / "elsewhere.yaml",
        models,
        router_settings={"fallbacks": CHAINS, "num_retries": 0, "disable_cooldowns": True},
        **sections,
    )
    process = GatewayProcess(config, folder / "data", workers=2)
    yield process
    assert process.stop() == 0
