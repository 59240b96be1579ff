"""A demo provider that insists on its key, and LiteLLM as our configuration has it."""

from collections.abc import AsyncIterator, Iterator

import litellm
import pytest
from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler

from scalix_callbacks.demo_provider.testing import DemoProviderServer
from tests.litellm_clients import close_clients
from tests.providers.matrix import KEY


@pytest.fixture(scope="session")
def running() -> Iterator[DemoProviderServer]:
    with DemoProviderServer(KEY) as server:
        yield server


@pytest.fixture
def provider(running: DemoProviderServer) -> Iterator[DemoProviderServer]:
    running.wait_for_in_flight(0)
    running.reset()
    yield running
    assert running.stderr() == ""


@pytest.fixture
async def litellm_as_configured(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """What a model does not have is left out; no connection outlives a test and its event loop."""
    monkeypatch.setattr(litellm, "drop_params", True)
    monkeypatch.setattr(litellm, "suppress_debug_info", True)
    # aiohttp leaves sockets open that httpx closes; the system tests go through it.
    monkeypatch.setattr(litellm, "disable_aiohttp_transport", True)
    # One client for all of the process otherwise, which streams of Anthropic and Gemini go through.
    client = AsyncHTTPHandler()
    monkeypatch.setattr(litellm, "module_level_aclient", client)
    litellm.in_memory_llm_clients_cache.flush_cache()
    yield
    await client.close()
    await close_clients()
