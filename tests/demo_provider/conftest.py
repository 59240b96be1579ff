"""One demo provider process for these tests, reset for each."""

from collections.abc import AsyncIterator, Iterator

import httpx
import openai
import pytest

from scalix_callbacks.demo_provider.testing import DemoProviderServer

from .support import AUTH


@pytest.fixture(scope="session")
def running_provider() -> Iterator[DemoProviderServer]:
    with DemoProviderServer() as server:
        yield server


@pytest.fixture
def provider(running_provider: DemoProviderServer) -> Iterator[DemoProviderServer]:
    """A provider without scripts or calls. Whatever a test does to it, it must not log an error."""
    running_provider.wait_for_in_flight(0)
    running_provider.reset()
    yield running_provider
    assert running_provider.stderr() == ""


@pytest.fixture
def http(provider: DemoProviderServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=provider.url, headers=AUTH, timeout=10, trust_env=False) as client:
        yield client


@pytest.fixture
def client(provider: DemoProviderServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=provider.base_url, api_key="any-key", max_retries=0, timeout=10) as client:
        yield client


@pytest.fixture
async def async_client(provider: DemoProviderServer) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        base_url=provider.base_url, api_key="any-key", max_retries=0, timeout=10
    ) as client:
        yield client
