"""What providers are told of keeping calls."""

from typing import Any

import litellm
import pytest
from litellm.types.utils import CallTypes

from scalix_callbacks.proxy.unkept import unkept

CHAT, RESPONSES = CallTypes.acompletion, CallTypes.aresponses


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """No address of OpenAI's but its own."""
    monkeypatch.setattr(litellm, "api_base", None)
    for name in ("OPENAI_BASE_URL", "OPENAI_API_BASE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("call_type", "kwargs"),
    [
        (RESPONSES, {"model": "openai/gpt-5"}),
        (RESPONSES, {"model": "openai/m", "api_base": "http://localhost:1/v1"}),
        (RESPONSES, {"model": "azure/m", "api_base": "https://x.openai.azure.com"}),
        (RESPONSES, {"model": "gpt-5", "store": None}),
        (CHAT, {"model": "openai/gpt-5"}),
        (CHAT, {"model": "gpt-5", "custom_llm_provider": "openai"}),
        (CHAT, {"model": "openai/gpt-5", "api_base": "https://eu.api.openai.com/v1"}),
    ],
)
def test_who_keeps_calls_is_asked_not_to(call_type: CallTypes, kwargs: dict[str, Any]) -> None:
    """The Responses API everywhere, and OpenAI's chat."""
    assert {**kwargs, "store": False} == unkept(kwargs, call_type)


@pytest.mark.parametrize(
    ("call_type", "kwargs"),
    [
        (CHAT, {"model": "openai/m", "api_base": "http://localhost:1/v1"}),
        (CHAT, {"model": "openai/m", "api_base": "https://api.openai.com.example/v1"}),
        (CHAT, {"model": "anthropic/claude-sonnet-4-6"}),
        (CHAT, {"model": "azure/m", "api_base": "https://x.openai.azure.com"}),
        (CallTypes.atext_completion, {"model": "openai/m"}),
        (CallTypes.anthropic_messages, {"model": "openai/m"}),
        (RESPONSES, {"model": "openai/gpt-5", "store": True}),
    ],
)
def test_nobody_else_is_told_anything(call_type: CallTypes, kwargs: dict[str, Any]) -> None:
    """Servers may refuse what they do not know; and the operator's own word stands."""
    assert unkept(kwargs, call_type) is None
