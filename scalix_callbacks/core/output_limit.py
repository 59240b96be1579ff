"""The output limit of a request: one thing, whatever its field is called."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scalix_callbacks.core.limits import LEAST_OUTPUT_TOKENS
from scalix_callbacks.core.routes import Endpoint
from scalix_callbacks.core.tiers import Tier

CLAMPED_HEADER = "x-scalix-max-tokens-clamped"
LEAST_THINKING_TOKENS = 1_024
"""Anthropic takes no smaller `thinking.budget_tokens`."""
_NAMES = ("max_completion_tokens", "max_tokens", "max_output_tokens")


@dataclass(frozen=True, slots=True)
class OutputAsk:
    """How much output a request asks for.

    Attributes:
        per_choice: most tokens of one choice; None: nobody limits it.
        choices: how many answers are made.
        named: what the request itself names, before any cap; None: nothing.
        is_open: neither the request nor the tier names a limit; `per_choice` is the model's own, if known.
    """

    per_choice: int | None
    choices: int = 1
    named: int | None = None
    is_open: bool = False

    @property
    def total(self) -> int | None:
        """Of all choices together, for `Ask.output_tokens`."""
        return None if self.per_choice is None else self.per_choice * self.choices


@dataclass(frozen=True, slots=True)
class Applied:
    """A body with the output limit that holds.

    Attributes:
        clamped_to: tokens per choice, where that is less than what was asked for; None: it is not.
    """

    body: dict[str, Any]
    clamped_to: int | None = None

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.clamped_to is None else {CLAMPED_HEADER: str(self.clamped_to)}


def output_ask(
    endpoint: Endpoint, body: Mapping[str, Any], tier: Tier | None, model_max: int | None = None
) -> OutputAsk:
    """What a request asks for, by itself or else by its tier, capped by tier and model.

    Args:
        tier: None: the operator's own call, which no tier limits.
        model_max: most output tokens of the serving model; None: not known.
    """
    if endpoint is Endpoint.EMBEDDINGS:
        return OutputAsk(per_choice=0)
    named = min((n for name in _NAMES if (n := _positive(body.get(name))) is not None), default=None)
    default = tier.default_output_tokens if tier else None
    cap = tier.max_output_tokens if tier else None
    asked = default if named is None else named
    per_choice = min((n for n in (asked, cap, model_max) if n is not None), default=None)
    return OutputAsk(per_choice, _choices(endpoint, body), named, is_open=asked is None and cap is None)


def apply(endpoint: Endpoint, body: Mapping[str, Any], ask: OutputAsk, output_tokens: int | None) -> Applied:
    """The body with its limit set to what was admitted, under one name that its endpoint knows.

    An open ask is written only where it was lowered: some providers charge or refuse by the limit named.
    `thinking.budget_tokens` is lowered to leave room for the answer; thinking that would fall below 1,024
    tokens is dropped, and a budget of -1 (the model's own choice) stays.

    Args:
        ask: of this same body.
        output_tokens: `Admitted.output_tokens`, of all choices together; None: not limited.
    """
    changed = dict(body)
    if endpoint is Endpoint.EMBEDDINGS or output_tokens is None:
        return Applied(changed)
    limit = max(output_tokens // ask.choices, 1)
    is_lowered = ask.per_choice is None or limit < ask.per_choice
    if ask.is_open and not is_lowered:
        return Applied(changed)
    field = _field(endpoint, body)
    for name in _NAMES:
        changed.pop(name, None)
    changed[field] = limit
    if ask.named is None or limit < ask.named:
        _lower_thinking(changed, limit)
    return Applied(changed, limit if is_lowered or (ask.named is not None and limit < ask.named) else None)


def _field(endpoint: Endpoint, body: Mapping[str, Any]) -> str:
    """The name to write: the client's own, if it is one this endpoint knows."""
    if endpoint is Endpoint.RESPONSES:
        return "max_output_tokens"
    if endpoint is Endpoint.CHAT and body.get("max_completion_tokens") is not None:
        return "max_completion_tokens"
    return "max_tokens"


def _lower_thinking(body: dict[str, Any], limit: int) -> None:
    thinking = body.get("thinking")
    budget = _positive(thinking.get("budget_tokens")) if isinstance(thinking, Mapping) else None
    most = limit - LEAST_OUTPUT_TOKENS
    if budget is None or budget <= most:
        return
    if most < LEAST_THINKING_TOKENS:
        del body["thinking"]
    else:
        body["thinking"] = {**body["thinking"], "budget_tokens": most}


def _choices(endpoint: Endpoint, body: Mapping[str, Any]) -> int:
    if endpoint not in (Endpoint.CHAT, Endpoint.COMPLETIONS):
        return 1
    n = _positive(body.get("n")) or 1
    prompt = body.get("prompt")
    # A list of texts, or of lists of token ids, holds prompts; a list of token ids is one.
    is_many = endpoint is Endpoint.COMPLETIONS and isinstance(prompt, list) and not _is_token_ids(prompt)
    return n * max(len(prompt), 1) if is_many and isinstance(prompt, list) else n


def _is_token_ids(prompt: list[Any]) -> bool:
    return bool(prompt) and isinstance(prompt[0], int)


def _positive(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
