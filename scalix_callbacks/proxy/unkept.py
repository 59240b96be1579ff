"""Providers that keep calls by themselves are asked not to: no prompt is stored (spec H3), there neither."""

from collections.abc import Mapping
from typing import Any

from litellm.main import _is_openai_backed_api_base, _resolve_openai_api_base

_RESPONSES = ("responses", "aresponses")
_CHATS = ("completion", "acompletion")


def unkept(kwargs: Mapping[str, Any], call_type: Any) -> dict[str, Any] | None:
    """What LiteLLM is to send to the deployment it has chosen; None: as it is.

    The Responses API keeps what it is not told to forget, whoever serves it; OpenAI's own chat does so for
    newer accounts. Other servers of that chat refuse a field that they do not know. What stands there already
    is the operator's word: of a user's request nothing does.
    """
    if kwargs.get("store") is not None:
        return None
    is_kept = call_type in _RESPONSES or (call_type in _CHATS and _is_openais_own(kwargs))
    return {**kwargs, "store": False} if is_kept else None


def _is_openais_own(kwargs: Mapping[str, Any]) -> bool:
    provider = kwargs.get("custom_llm_provider") or str(kwargs.get("model") or "").partition("/")[0]
    base = kwargs.get("api_base") or kwargs.get("base_url")
    return provider == "openai" and bool(_is_openai_backed_api_base(_resolve_openai_api_base(base)))
