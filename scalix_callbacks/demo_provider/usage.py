"""The usage an answer reports."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scalix_callbacks.demo_provider.script import UsageOverride


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts as reported; `cached_tokens` and `reasoning_tokens` None are not mentioned."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None

    def as_chat(self) -> dict[str, Any]:
        """In the words of chat completions."""
        usage: dict[str, Any] = {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.total_tokens,
        }
        if self.cached_tokens is not None:
            usage["prompt_tokens_details"] = {"cached_tokens": self.cached_tokens}
        if self.reasoning_tokens is not None:
            usage["completion_tokens_details"] = {"reasoning_tokens": self.reasoning_tokens}
        return usage

    def as_embeddings(self) -> dict[str, Any]:
        """In the words of embeddings, which complete nothing."""
        return {"prompt_tokens": self.prompt_tokens, "total_tokens": self.total_tokens}

    def as_responses(self) -> Mapping[str, Any]:
        """In the words of the Responses API."""
        return {
            "input_tokens": self.prompt_tokens,
            "input_tokens_details": {"cached_tokens": self.cached_tokens or 0, "cache_write_tokens": 0},
            "output_tokens": self.completion_tokens,
            "output_tokens_details": {"reasoning_tokens": self.reasoning_tokens or 0},
            "total_tokens": self.total_tokens,
        }


def usage_of(prompt_tokens: int, completion_tokens: int, override: UsageOverride | None) -> Usage:
    """The counted usage, with what the script says otherwise."""
    says = override or UsageOverride()
    prompt = prompt_tokens if says.prompt_tokens is None else says.prompt_tokens
    completion = completion_tokens if says.completion_tokens is None else says.completion_tokens
    total = prompt + completion if says.total_tokens is None else says.total_tokens
    return Usage(prompt, completion, total, says.cached_tokens, says.reasoning_tokens)
