"""1.106.2: each chunk of each stream passes through a hook that looks for ids of the Responses API."""

from collections.abc import AsyncIterator
from typing import Any

from litellm.proxy._types import UserAPIKeyAuth
from litellm.proxy.hooks import ResponsesIDSecurity

_original = ResponsesIDSecurity.async_post_call_streaming_iterator_hook


def install() -> None:
    """Only those of the Responses API do."""
    ResponsesIDSecurity.async_post_call_streaming_iterator_hook = _async_post_call_streaming_iterator_hook


def _async_post_call_streaming_iterator_hook(
    self: ResponsesIDSecurity, user_api_key_dict: UserAPIKeyAuth, response: Any, request_data: dict[str, Any]
) -> AsyncIterator[Any]:
    if "/responses" in (user_api_key_dict.request_route or "/responses"):
        hooked: AsyncIterator[Any] = _original(self, user_api_key_dict, response, request_data)
        return hooked
    passed: AsyncIterator[Any] = response
    return passed
