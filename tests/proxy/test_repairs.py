"""What is mended of LiteLLM from outside; a test fails here when a mend can go, or no longer fits."""

import asyncio
import inspect
from collections.abc import Callable
from importlib.metadata import version

import pytest
from litellm.litellm_core_utils.litellm_logging import Logging
from litellm.litellm_core_utils.streaming_handler import CustomStreamWrapper

from scalix_callbacks.proxy import repairs


@pytest.fixture(autouse=True)
def _undone(monkeypatch: pytest.MonkeyPatch) -> None:
    """LiteLLM as it is, before and after each test."""
    for name in ("_restore_correlation_context", "_restore_correlation_context_if_unclaimed"):
        monkeypatch.setattr(Logging, name, getattr(Logging, name))


def test_the_repairs_are_for_this_version() -> None:
    """Whoever raises the version looks at each of them again."""
    assert "1.106.2" == version("litellm")


def test_a_hang_up_still_restores_a_context() -> None:
    """Once LiteLLM's streams do not, nothing need be left out."""
    assert "_restore_consumer_correlation_context" in inspect.getsource(CustomStreamWrapper.aclose)


@pytest.mark.parametrize(
    "restore", ["_restore_correlation_context", "_restore_correlation_context_if_unclaimed"]
)
async def test_a_hang_up_touches_no_context(restore: str) -> None:
    """What LiteLLM calls there is called as before, and does nothing."""
    repairs.install()
    logging: Callable[..., None] = getattr(object.__new__(Logging), restore)

    assert await asyncio.to_thread(logging) is None
