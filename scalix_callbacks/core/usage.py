"""What a call really used, as its provider reports it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_TOKENS = 10**8
"""A larger figure is no report: no model reads or writes as much in one call."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call. A figure nobody reported is None, never 0.

    Attributes:
        prompt_tokens: of the whole prompt, what came from a cache included.
        completion_tokens: reasoning included.
        cached_tokens: how many of the prompt were read from the provider's cache.
        reasoning_tokens: how many of the completion were thought, not said.
        is_estimated: at least one of prompt and completion is our estimate.
        cache_written_tokens: how many of the prompt were put into the provider's cache.
    """

    prompt_tokens: int | None
    completion_tokens: int | None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    is_estimated: bool = False
    cache_written_tokens: int | None = None

    @property
    def total_tokens(self) -> int:
        """What counts against a limit: prompt and completion, as far as they are known."""
        return (self.prompt_tokens or 0) + (self.completion_tokens or 0)

    def completed(self, *, prompt_tokens: int, completion_tokens: int) -> "Usage":
        """The same with estimates where nothing was reported, and marked so; itself when all was."""
        if self.prompt_tokens is not None and self.completion_tokens is not None:
            return self
        return Usage(
            prompt_tokens if self.prompt_tokens is None else self.prompt_tokens,
            completion_tokens if self.completion_tokens is None else self.completion_tokens,
            self.cached_tokens,
            self.reasoning_tokens,
            is_estimated=True,
            cache_written_tokens=self.cache_written_tokens,
        )


NOTHING = Usage(0, 0)
"""A provider was not asked: the answer came from our cache."""

UNKNOWN = Usage(None, None)
"""Nothing was reported; `UNKNOWN.completed(…)` is all estimate."""


def parse_usage(raw: object) -> Usage | None:
    """The usage in a `usage` object of any of the APIs; None when it reports neither prompt nor completion.

    What is no whole number of tokens (null, negative, text) is as if it were not there. All zeros is what
    providers send that do not count.

    Sources: OpenAI's chat, completions and embeddings (`prompt_tokens`), OpenAI's Responses
    (`input_tokens`, `input_tokens_details`), Anthropic's messages (`input_tokens` without what its cache
    wrote and read).
    """
    if not isinstance(raw, Mapping):
        return None
    prompt, completion, cached = _tokens(raw, "prompt_tokens"), _tokens(raw, "completion_tokens"), None
    written = _tokens(raw, "cache_creation_input_tokens")
    if prompt is None and (prompt := _tokens(raw, "input_tokens")) is not None:
        cached = _tokens(raw, "cache_read_input_tokens")
        prompt += (cached or 0) + (written or 0)
    if completion is None:
        completion = _tokens(raw, "output_tokens")
    total = _tokens(raw, "total_tokens")
    if completion is None and prompt is not None and total is not None and total >= prompt:
        completion = total - prompt  # embeddings report no completion
    if not prompt and not completion:
        return None
    prompt = prompt or None  # nobody is answered without having asked
    if cached is None:
        cached = _detail(raw, ("prompt_tokens_details", "input_tokens_details"), "cached_tokens")
    reasoning = _detail(raw, ("completion_tokens_details", "output_tokens_details"), "reasoning_tokens")
    if written is None:
        written = _detail(raw, ("prompt_tokens_details",), "cache_creation_tokens")  # LiteLLM's own
    return Usage(prompt, completion, cached, reasoning, cache_written_tokens=written)


def _detail(raw: Mapping[str, Any], places: tuple[str, ...], name: str) -> int | None:
    for place in places:
        if isinstance(details := raw.get(place), Mapping) and (found := _tokens(details, name)) is not None:
            return found
    return None


def _tokens(raw: Mapping[str, Any], name: str) -> int | None:
    value = raw.get(name)
    fits = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_TOKENS
    return value if fits else None
