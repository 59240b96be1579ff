"""LiteLLM keeps clients for all of a process; those of a test must not outlive it and its event loop."""

import litellm
from litellm.llms.custom_httpx.async_client_cleanup import close_litellm_async_clients


async def close_clients() -> None:
    await close_litellm_async_clients()
    litellm.in_memory_llm_clients_cache.flush_cache()
