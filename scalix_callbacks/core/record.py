"""The frozen account of one call, as the ledger keeps it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

from scalix_callbacks.core.errors import ErrorCategory
from scalix_callbacks.core.limits import Standing
from scalix_callbacks.core.moments import iso, parse_iso
from scalix_callbacks.core.money import nano_usd, usd_text
from scalix_callbacks.core.routes import Endpoint

T = TypeVar("T")


class Outcome(StrEnum):
    """How a call ended."""

    OK = "ok"
    ERROR = "error"
    ABORTED = "aborted"
    """Its client went away."""
    ABANDONED = "abandoned"
    """Its worker died."""
    CACHED = "cached"
    REPLAYED = "replayed"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """One admitted call. Spec G1 names the fields and their order; in JSON money is a decimal string.

    None is what is not known, or does not apply; it is never told as 0.

    Attributes:
        call_id: ours, one per HTTP attempt; no two records share one.
        client_request_id: as the client sent it, `:attempt-N` included.
        at: when the call was admitted.
        user_id: the account whose limits counted, or `operator`.
        requests_counted: 1 where the call counts as a request; 0 where it failed, or another attempt of
            its request counts.
        attempt: which try of its request, from 1.
        estimated: prompt or completion tokens are our estimate.
        windows: counter id (`requests:3600`) → when the window the call counts in began, Unix time in
            milliseconds.
    """

    call_id: str
    request_id: str
    client_request_id: str | None
    at: datetime
    user_id: str
    tier: str | None
    endpoint: Endpoint
    model_requested: str
    model_used: str | None
    provider: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    cached_tokens: int | None
    reasoning_tokens: int | None
    provider_cost_nano_usd: int | None
    price_nano_usd: int | None
    requests_counted: int
    outcome: Outcome
    error_category: ErrorCategory | None
    duration_ms: int | None
    time_to_first_token_ms: int | None
    attempt: int
    stream: bool
    estimated: bool
    windows: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """JSON values under the names of spec G1, in its order."""
        return {
            "call_id": self.call_id,
            "request_id": self.request_id,
            "client_request_id": self.client_request_id,
            "at": iso(self.at),
            "user_id": self.user_id,
            "tier": self.tier,
            "endpoint": self.endpoint.value,
            "model_requested": self.model_requested,
            "model_used": self.model_used,
            "provider": self.provider,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "cached_tokens": self.cached_tokens,
            "reasoning_tokens": self.reasoning_tokens,
            "provider_cost_usd": _maybe(self.provider_cost_nano_usd, usd_text),
            "price_usd": _maybe(self.price_nano_usd, usd_text),
            "requests_counted": self.requests_counted,
            "outcome": self.outcome.value,
            "error_category": _maybe(self.error_category, str),
            "duration_ms": self.duration_ms,
            "time_to_first_token_ms": self.time_to_first_token_ms,
            "attempt": self.attempt,
            "stream": self.stream,
            "estimated": self.estimated,
            "windows": dict(self.windows),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "CallRecord":
        """The record `to_json` wrote; names it does not know, such as a later version's, are left out.

        Raises:
            ValueError: it is no such record; says which field, and quotes none.
        """
        reader = _Reader(values)
        return cls(
            **_admitted(reader),
            model_used=reader.maybe_text("model_used"),
            provider=reader.maybe_text("provider"),
            prompt_tokens=reader.maybe_count("prompt_tokens"),
            completion_tokens=reader.maybe_count("completion_tokens"),
            cached_tokens=reader.maybe_count("cached_tokens"),
            reasoning_tokens=reader.maybe_count("reasoning_tokens"),
            provider_cost_nano_usd=reader.maybe_made("provider_cost_usd", nano_usd),
            requests_counted=reader.count("requests_counted"),
            outcome=reader.made("outcome", Outcome),
            error_category=reader.maybe_made("error_category", ErrorCategory),
            duration_ms=reader.maybe_count("duration_ms"),
            time_to_first_token_ms=reader.maybe_count("time_to_first_token_ms"),
            estimated=reader.flag("estimated"),
            windows=reader.windows("windows"),
        )


def windows_of(standings: Iterable[Standing]) -> dict[str, int]:
    """When each window began that a call was admitted to, for `CallRecord.windows`."""
    return {standing.counter.id: round(standing.started_at_s * 1_000) for standing in standings}


def memo_of(
    *,
    call_id: str,
    request_id: str,
    client_request_id: str | None,
    at: datetime,
    user_id: str,
    tier: str | None,
    endpoint: Endpoint,
    model_requested: str,
    prompt_tokens: int,
    attempt: int,
    stream: bool,
    price_nano_usd: int | None = None,
) -> dict[str, Any]:
    """What is laid down at admission, in JSON values, so that a call outlives its worker.

    Args:
        prompt_tokens: by the estimate.
        price_nano_usd: of that prompt; None: there is no price.
    """
    return {
        "call_id": call_id,
        "request_id": request_id,
        "client_request_id": client_request_id,
        "at": iso(at),
        "user_id": user_id,
        "tier": tier,
        "endpoint": endpoint.value,
        "model_requested": model_requested,
        "prompt_tokens": prompt_tokens,
        "attempt": attempt,
        "stream": stream,
        "price_usd": _maybe(price_nano_usd, usd_text),
    }


def abandoned(memo: Mapping[str, Any], *, windows: Mapping[str, int] | None = None) -> CallRecord:
    """The record of a call whose worker died: its request is given back, its estimated prompt is charged,
    and what was answered is not known.

    Args:
        memo: as `memo_of` made it, also after a way through JSON.
        windows: as `windows_of` makes them of the reservation; None: not known.

    Raises:
        ValueError: it is no such memo.
    """
    reader = _Reader(memo)
    return CallRecord(
        **{**_admitted(reader), **_UNTOLD},
        prompt_tokens=reader.count("prompt_tokens"),
        outcome=Outcome.ABANDONED,
        error_category=None,
        estimated=True,
        windows=dict(windows or {}),
    )


def record_of_abandoned(memo: Mapping[str, Any], standings: Iterable[Standing]) -> Mapping[str, Any]:
    """`abandoned` in JSON, as limiters want it: `core.limits.RecordOfAbandoned`."""
    return abandoned(memo, windows=windows_of(standings)).to_json()


def unheard(memo: Mapping[str, Any]) -> CallRecord:
    """The record of a call that was refused because its admission got no answer; nothing is charged.

    Raises:
        ValueError: it is no memo that `memo_of` made.
    """
    return CallRecord(
        **{**_admitted(_Reader(memo)), **_UNTOLD, "price_nano_usd": 0},
        prompt_tokens=None,
        outcome=Outcome.ERROR,
        error_category=ErrorCategory.SERVICE_UNAVAILABLE,
        estimated=False,
    )


_UNTOLD: Mapping[str, Any] = {
    "model_used": None,
    "provider": None,
    "completion_tokens": None,
    "cached_tokens": None,
    "reasoning_tokens": None,
    "provider_cost_nano_usd": None,
    "requests_counted": 0,
    "duration_ms": None,
    "time_to_first_token_ms": None,
}
"""Of a call of whose answer nothing is known."""


def _admitted(reader: "_Reader") -> dict[str, Any]:
    """What a record and a memo have in common: what was known at admission, and the price."""
    return {
        "call_id": reader.text("call_id"),
        "request_id": reader.text("request_id"),
        "client_request_id": reader.maybe_text("client_request_id"),
        "at": reader.made("at", parse_iso),
        "user_id": reader.text("user_id"),
        "tier": reader.maybe_text("tier"),
        "endpoint": reader.made("endpoint", Endpoint),
        "model_requested": reader.text("model_requested"),
        "price_nano_usd": reader.maybe_made("price_usd", nano_usd),
        "attempt": reader.count("attempt"),
        "stream": reader.flag("stream"),
    }


def _maybe(value: T | None, write: Callable[[T], str]) -> str | None:
    return None if value is None else write(value)


class _Reader:
    """Takes typed fields out of a JSON object; ValueError names the one that does not fit."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def text(self, name: str) -> str:
        value = self._values.get(name)
        if not isinstance(value, str):
            raise ValueError(f"{name} is no text.")
        return value

    def maybe_text(self, name: str) -> str | None:
        return None if self._values.get(name) is None else self.text(name)

    def count(self, name: str) -> int:
        value = self._values.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise ValueError(f"{name} is no count.")
        return value

    def maybe_count(self, name: str) -> int | None:
        return None if self._values.get(name) is None else self.count(name)

    def flag(self, name: str) -> bool:
        value = self._values.get(name)
        if not isinstance(value, bool):
            raise ValueError(f"{name} is neither true nor false.")
        return value

    def made(self, name: str, make: Callable[[str], T]) -> T:
        text = self.text(name)
        try:
            return make(text)
        except ValueError:
            raise ValueError(f"{name} cannot be read.") from None

    def maybe_made(self, name: str, make: Callable[[str], T]) -> T | None:
        return None if self._values.get(name) is None else self.made(name, make)

    def windows(self, name: str) -> dict[str, int]:
        value = self._values.get(name)
        if not isinstance(value, Mapping) or not all(type(start) is int for start in value.values()):
            raise ValueError(f"{name} is no object of moments.")
        return dict(value)
