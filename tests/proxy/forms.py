"""LiteLLM's router asked in each form of the API, for models of providers with other forms of their own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import litellm
import pytest
from litellm.litellm_core_utils.streaming_handler import CustomStreamWrapper
from litellm.llms.anthropic.pass_through.adapters import streaming_iterator as translated
from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler
from litellm.router import Router

from scalix_callbacks.demo_provider.testing import DemoProviderServer
from scalix_callbacks.proxy.repairs import (
    empty_answers,
    empty_messages,
    empty_responses,
    empty_streams,
    text_streams,
)
from tests.litellm_clients import close_clients

FORMS = ("chat", "completions", "messages", "responses")
MODELS = {
    "openai": ("openai/openai", "/v1"),
    "anthropic": ("anthropic/claude-sonnet-4-6", "/anthropic"),
    "gemini": ("gemini/gemini-2.5-flash", "/gemini/v1beta"),
    "azure": ("azure/gpt-4.1", "/azure"),
    "second": ("openai/second", "/v1"),
}

PATCHED = (
    (Router, "_acompletion_streaming_iterator"),
    (Router, "_aanthropic_messages_streaming_iterator"),
    (Router, "_aanthropic_messages_recover_stream_error"),
    (translated, "_error_status_and_message"),
    (Router, "_aresponses_streaming_iterator"),
    (Router, "_aresponses_fallback_attempt"),
    (CustomStreamWrapper, "fetch_stream"),
    (litellm, "atext_completion"),
    (litellm.utils, "async_post_call_success_deployment_hook"),
)


def mend(monkeypatch: pytest.MonkeyPatch) -> None:
    """Installs what hands on an answer that is none, until the end of a test."""
    for owner, name in PATCHED:
        monkeypatch.setattr(owner, name, getattr(owner, name))
    for repair in (empty_streams, empty_messages, empty_responses, empty_answers, text_streams):
        repair.install()


@asynccontextmanager
async def open_router(
    provider: DemoProviderServer,
    monkeypatch: pytest.MonkeyPatch,
    *,
    num_retries: int = 0,
    rests: bool = False,
) -> AsyncIterator[Router]:
    """Each of MODELS, with `second` behind it; LiteLLM as the launcher and our configuration have it.

    Args:
        rests: what fails too often is not asked for a while.
    """
    monkeypatch.setenv("EXPERIMENTAL_OPENAI_BASE_LLM_HTTP_HANDLER", "true")
    monkeypatch.setattr(litellm, "use_chat_completions_url_for_anthropic_messages", True)
    monkeypatch.setattr(litellm, "drop_params", True)
    # aiohttp leaves sockets open that httpx closes; one client is for all of the process otherwise.
    monkeypatch.setattr(litellm, "disable_aiohttp_transport", True)
    client = AsyncHTTPHandler()
    monkeypatch.setattr(litellm, "module_level_aclient", client)
    # For a text completion LiteLLM makes a client for each call, and leaves it open.
    session = httpx.AsyncClient()
    monkeypatch.setattr(litellm, "aclient_session", session)
    await close_clients()  # those of other tests
    router = Router(
        model_list=[
            {
                "model_name": name,
                "litellm_params": {
                    **{"model": model, "api_base": provider.url + base, "api_key": "k"},
                    **({"api_version": "2024-10-21"} if name == "azure" else {}),
                },
            }
            for name, (model, base) in MODELS.items()
        ],
        fallbacks=[{name: [{"model": "second", "num_retries": 0}]} for name in MODELS if name != "second"],
        num_retries=num_retries,
        disable_cooldowns=not rests,
    )
    try:
        yield router
    finally:
        router.discard()
        await client.close()
        await session.aclose()
        await close_clients()


async def asked(router: Router, form: str, model: str, *, stream: bool) -> str:
    """All that a client would read."""
    messages = [{"role": "user", "content": "Hi"}]
    about: dict[str, Any] = {"stream": stream, "litellm_metadata": {}}
    match form:
        case "chat":
            answer = await router.acompletion(model, messages, stream=stream, max_tokens=16)  # type: ignore[call-overload]  # either
        case "completions":
            options = {"stream_options": {"include_usage": True}} if stream else {}  # as our hook asks
            answer = await router.atext_completion(model, "Hi", stream=stream, max_tokens=16, **options)
        case "messages":
            answer = await router.aanthropic_messages(model=model, messages=messages, max_tokens=16, **about)
        case _:
            answer = await router.aresponses(model=model, input="Hi", **about)
    return str([str(each) async for each in answer] if stream else answer)
