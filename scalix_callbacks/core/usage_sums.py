"""Sums over many calls, and how they are told."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from scalix_callbacks.core.money import usd_text


@dataclass(frozen=True, slots=True)
class Sums:
    """What some calls came to. Amounts are sums of what is known; what is not is counted apart.

    Attributes:
        calls: all of them; `ok` to `replayed` are those with that outcome.
        requests: how many count as a request.
        priced_tokens: prompt and completion of the calls whose price is known.
        own_model: of the `ok` ones, those that were answered by the model they named.
        fallbacks: of the `ok` ones, those that another model answered.
        ok_duration_ms, ok_timed: time taken by the `ok` ones, and of how many of them it is known.
    """

    calls: int = 0
    requests: int = 0
    ok: int = 0
    error: int = 0
    aborted: int = 0
    abandoned: int = 0
    cached: int = 0
    replayed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    price_nano_usd: int = 0
    price_unknown_calls: int = 0
    priced_tokens: int = 0
    provider_cost_nano_usd: int = 0
    provider_cost_unknown_calls: int = 0
    own_model: int = 0
    fallbacks: int = 0
    ok_duration_ms: int = 0
    ok_timed: int = 0

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(Sums)))

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    @property
    def response_time_avg_ms(self) -> int | None:
        """None: no answer was timed."""
        return None if not self.ok_timed else round(self.ok_duration_ms / self.ok_timed)

    @property
    def known_price_nano_usd(self) -> int | None:
        """None: there are calls, and the price of none of them is known."""
        return _known(self.price_nano_usd, self.price_unknown_calls, self.calls)


def sums_object(sums: Sums, *, with_provider: bool) -> dict[str, Any]:
    """JSON of sums.

    Args:
        with_provider: also what the provider took, which is the operator's alone to know.
    """
    told = {
        "calls": sums.calls,
        "requests": sums.requests,
        "outcomes": {
            "ok": sums.ok,
            "error": sums.error,
            "aborted": sums.aborted,
            "abandoned": sums.abandoned,
            "cached": sums.cached,
            "replayed": sums.replayed,
        },
        "prompt_tokens": sums.prompt_tokens,
        "completion_tokens": sums.completion_tokens,
        "cached_tokens": sums.cached_tokens,
        "reasoning_tokens": sums.reasoning_tokens,
        "total_tokens": sums.total_tokens,
        "price_usd": _maybe_usd(sums.known_price_nano_usd),
        "price_unknown_calls": sums.price_unknown_calls,
        "response_time_avg_ms": sums.response_time_avg_ms,
        "fallbacks": sums.fallbacks,
    }
    if with_provider:
        cost = _known(sums.provider_cost_nano_usd, sums.provider_cost_unknown_calls, sums.calls)
        told |= {
            "provider_cost_usd": _maybe_usd(cost),
            "provider_cost_unknown_calls": sums.provider_cost_unknown_calls,
        }
    return told


def row_object(group: Mapping[str, str | None], sums: Sums, *, with_provider: bool) -> dict[str, Any]:
    """What the sums are of, then the sums."""
    return {**group, **sums_object(sums, with_provider=with_provider)}


def _known(nano_usd: int, unknown_calls: int, calls: int) -> int | None:
    return None if calls and unknown_calls == calls else nano_usd


def _maybe_usd(nano_usd: int | None) -> str | None:
    return None if nano_usd is None else usd_text(nano_usd)
