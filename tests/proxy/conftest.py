"""A provider for LiteLLM's router; who uses it resets it first."""

from collections.abc import Iterator

import pytest

from scalix_callbacks.demo_provider.testing import DemoProviderServer


@pytest.fixture(scope="session")
def provider() -> Iterator[DemoProviderServer]:
    with DemoProviderServer() as server:
        yield server
