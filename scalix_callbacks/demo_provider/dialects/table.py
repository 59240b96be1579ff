"""The providers whose wire formats the demo provider speaks."""

from scalix_callbacks.demo_provider.dialects import anthropic, gemini, ollama
from scalix_callbacks.demo_provider.dialects.dialect import Dialect, bearer
from scalix_callbacks.demo_provider.dialects.openai_shaped import (
    azure,
    azure_key,
    deepseek_wire,
    forgiving,
    openai_wire,
    openrouter_wire,
    plain_dialect,
    strict,
)
from scalix_callbacks.demo_provider.dialects.recorded import load
from scalix_callbacks.demo_provider.model_request import Endpoint

PLAIN = (
    plain_dialect("/v1/chat/completions", Endpoint.CHAT),
    plain_dialect("/v1/completions", Endpoint.COMPLETIONS),
    plain_dialect("/v1/embeddings", Endpoint.EMBEDDINGS),
    plain_dialect("/v1/responses", Endpoint.RESPONSES),
)
"""The demo provider's own, at the root: what `--demo` routes every model to."""

_CHAT = "/chat/completions"

DIALECTS = (
    Dialect("openai", (f"/v1{_CHAT}",), bearer, strict, openai_wire, load("openai")),
    Dialect(
        "anthropic",
        ("/v1/messages",),
        anthropic.key,
        anthropic.read,
        anthropic.MessagesWire,
        load("anthropic"),
        is_at_root=True,
    ),
    Dialect(
        "gemini",
        ("/v1beta/models/{place:path}",),
        gemini.key,
        gemini.read,
        gemini.GenerateWire,
        load("gemini"),
        is_at_root=True,
    ),
    Dialect(
        "azure",
        (f"/openai/deployments/{{place}}{_CHAT}",),
        azure_key,
        azure,
        openai_wire,
        load("azure"),
        is_at_root=True,
    ),
    Dialect(
        "openrouter",
        (f"/api/v1{_CHAT}",),
        bearer,
        forgiving,
        openrouter_wire,
        load("openrouter"),
        is_at_root=True,
    ),
    Dialect(
        "deepseek",
        (_CHAT, f"/beta{_CHAT}", f"/v1{_CHAT}"),
        bearer,
        forgiving,
        deepseek_wire,
        load("deepseek"),
    ),
    Dialect(
        "ollama", ("/api/chat",), None, ollama.read, ollama.ChatLinesWire, load("ollama"), is_at_root=True
    ),
    Dialect("lmstudio", (f"/v1{_CHAT}",), None, forgiving, openai_wire, load("lmstudio")),
    Dialect(
        "scalix-engine", (f"/v1/engine{_CHAT}", f"/v1{_CHAT}"), bearer, forgiving, openai_wire, load("scalix")
    ),
    Dialect(
        "scalix-gateway",
        (f"/v1/gateway{_CHAT}", f"/v1{_CHAT}"),
        bearer,
        forgiving,
        openai_wire,
        load("scalix"),
    ),
)
"""docs/providers.md says how to add one."""
