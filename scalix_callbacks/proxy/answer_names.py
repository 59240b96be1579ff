"""The name an answer has: the public one of who answered, never what its provider calls the model."""

from typing import Any

from scalix_callbacks.core.call import Call
from scalix_callbacks.proxy.served import Served


def name_of(call: Call, served: Served) -> str | None:
    """The public name of who answered. The way by an upstream engine is no fallback: what was asked for."""
    is_by_upstream = call.engine is not None and call.engine.upstream_model is not None
    return call.model if is_by_upstream else served.model or call.model


def give_name(answer: Any, name: str | None) -> None:
    """Where it has one: LiteLLM leaves the provider's own on what a fallback answered, and on events."""
    if isinstance(answer, dict):
        if "model" in answer:
            answer["model"] = name
    elif getattr(answer, "model", None) is not None:
        answer.model = name
