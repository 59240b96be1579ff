"""What the demo provider does for one call, as a value."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, Self

MAX_TOKENS = 100_000
MAX_TEXT_CHARS = 200_000
MAX_DELAY_BEFORE_S = 3_600.0
MAX_DELAY_PER_TOKEN_S = 60.0
MAX_REPORTED_TOKENS = 1_000_000_000
MAX_TAG_CHARS = 100
MAX_TOOL_CALLS = 16
MAX_HEADERS = 32
MAX_HEADER_CHARS = 1_000

_FRAMING_HEADERS = frozenset({"connection", "content-length", "transfer-encoding"})
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE = re.compile(r"[\x20-\x7e\t]*")


class ScriptError(ValueError):
    """A script that cannot be played; the message says which field and why."""


class FinishReason(StrEnum):
    """Why a choice ended, in OpenAI's words."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"


class BreakdownKind(StrEnum):
    """How an answer ends before its time."""

    FAIL = "fail"
    CUT = "cut"
    HANG = "hang"


@dataclass(frozen=True, slots=True)
class Breakdown:
    """The answer ends as `kind` once `after_tokens` tokens are sent; 0 is right after the headers."""

    after_tokens: int
    kind: BreakdownKind


@dataclass(frozen=True, slots=True)
class UsageOverride:
    """Token counts to report in place of the counted ones; None reports what was counted.

    `cached_tokens` and `reasoning_tokens` are reported only when given. `total_tokens` None is the sum.
    """

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None

    def __post_init__(self) -> None:
        for member in fields(self):
            _check_count(f"usage.{member.name}", getattr(self, member.name), MAX_REPORTED_TOKENS)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function the answer asks the client to call; `arguments` is JSON text. `id` None makes one up."""

    name: str
    arguments: str = "{}"
    id: str | None = None

    def __post_init__(self) -> None:
        _check_text("tool_calls.name", self.name, 100)
        _check_text("tool_calls.arguments", self.arguments, MAX_TEXT_CHARS)
        _check_text("tool_calls.id", self.id, 100)
        if not self.name:
            raise ScriptError("tool_calls.name must not be empty")


@dataclass(frozen=True, slots=True)
class Script:
    """What the provider does for one call. The default answers at once, about 24 tokens, usage reported.

    Played in this order: `delay_before_s`; `hang` (never answer); `failure` (what the provider whose dialect
    is spoken was recorded to answer, by name, such as `context_window`); `status` of 400 and up (an error
    before any other byte, with `error` as its whole body, or the dialect's own); `garbage` (200, a body that
    is no JSON); the answer. `headers` go on every answer with a head.

    `tokens` is the length of each choice; None is the length of `text` or of the default answer. A `text`
    is cut or repeated to fit. `tool_calls` come after `text`, or alone when it is None, and `tokens` only
    cuts them. `tag` is kept in the tally, so that the one who asked finds the call there.

    `fail_after_tokens` (an error frame), `cut_after_tokens` (the TCP connection drops) and
    `hang_after_tokens` count the tokens sent over all choices; 0 is right after the headers; the lowest
    wins, then the order here; beyond the end of the answer they do nothing. They happen when the next token
    is due, `delay_per_token_s` after the last one; without a delay some clients lose tokens that were sent
    just before a cut. Answers that are not streamed arrive whole or not at all: such a failure is a 500, a
    hang comes before the first byte, and a cut after half of the body (0: after the headers).

    Raises: ScriptError, for a value of the wrong type or out of bounds.
    """

    delay_before_s: float = 0.0
    delay_per_token_s: float = 0.0
    tokens: int | None = None
    text: str | None = None
    report_usage: bool = True
    usage: UsageOverride | None = None
    failure: str | None = None
    status: int = 200
    error: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    fail_after_tokens: int | None = None
    cut_after_tokens: int | None = None
    hang_after_tokens: int | None = None
    hang: bool = False
    garbage: bool = False
    finish_reason: FinishReason | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tag: str | None = None

    def __post_init__(self) -> None:
        _check_seconds("delay_before_s", self.delay_before_s, MAX_DELAY_BEFORE_S)
        _check_seconds("delay_per_token_s", self.delay_per_token_s, MAX_DELAY_PER_TOKEN_S)
        for name in ("tokens", "fail_after_tokens", "cut_after_tokens", "hang_after_tokens"):
            _check_count(name, getattr(self, name), MAX_TOKENS)
        for name in ("report_usage", "hang", "garbage"):
            if not isinstance(getattr(self, name), bool):
                raise ScriptError(f"{name} must be true or false")
        _check_text("text", self.text, MAX_TEXT_CHARS)
        _check_text("tag", self.tag, MAX_TAG_CHARS)
        _check_text("failure", self.failure, MAX_TAG_CHARS)
        _check_status(self.status)
        if self.error is not None and not isinstance(self.error, Mapping):
            raise ScriptError("error must be an object: the whole body to fail with")
        _check_headers(self.headers)
        if len(self.tool_calls) > MAX_TOOL_CALLS:
            raise ScriptError(f"tool_calls must hold at most {MAX_TOOL_CALLS}")

    @classmethod
    def from_json(cls, value: object) -> Self:
        """The script in a decoded JSON object; field names as in this class, all optional.

        `usage` is an object, `tool_calls` a list of objects, `error` an object.

        Raises: ScriptError.
        """
        given = _known_fields("script", value, cls)
        if given.get("usage") is not None:
            given["usage"] = UsageOverride(**_known_fields("usage", given["usage"], UsageOverride))
        if given.get("finish_reason") is not None:
            given["finish_reason"] = finish_reason(given["finish_reason"])
        if "tool_calls" in given:
            given["tool_calls"] = _tool_calls(given["tool_calls"])
        return cls(**given)

    @property
    def breakdown(self) -> Breakdown | None:
        """Where the answer breaks down; None if it never does."""
        planned = (
            (self.fail_after_tokens, BreakdownKind.FAIL),
            (self.cut_after_tokens, BreakdownKind.CUT),
            (self.hang_after_tokens, BreakdownKind.HANG),
        )
        breakdowns = [Breakdown(after, kind) for after, kind in planned if after is not None]
        return min(breakdowns, key=lambda breakdown: breakdown.after_tokens, default=None)


def finish_reason(value: object) -> FinishReason:
    """The finish reason spelt `value`. Raises: ScriptError."""
    try:
        return FinishReason(value)  # type: ignore[arg-type]  # anything else is what the except is for
    except ValueError:
        raise ScriptError(f"finish_reason must be one of {', '.join(FinishReason)}") from None


def _tool_calls(value: object) -> tuple[ToolCall, ...]:
    if not isinstance(value, list):
        raise ScriptError("tool_calls must be a list of objects")
    calls = [_known_fields("tool_calls", call, ToolCall) for call in value[: MAX_TOOL_CALLS + 1]]
    if any("name" not in call for call in calls):
        raise ScriptError("tool_calls.name is missing")
    return tuple(ToolCall(**call) for call in calls)


def _known_fields(what: str, value: object, cls: type[Any]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ScriptError(f"{what} must be an object")
    known = [member.name for member in fields(cls)]
    unknown = [str(name)[:50] for name in value if name not in known]
    if unknown:
        raise ScriptError(f"{what} has no field {unknown[0]!r}; it has {', '.join(known)}")
    return dict(value)


def _check_count(name: str, value: object, limit: int) -> None:
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= limit:
        raise ScriptError(f"{name} must be an integer from 0 to {limit}")


def _check_seconds(name: str, value: object, limit: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ScriptError(f"{name} must be a number of seconds")
    if not math.isfinite(value) or not 0 <= value <= limit:
        raise ScriptError(f"{name} must be from 0 to {limit:g} seconds")


def _check_text(name: str, value: object, limit: int) -> None:
    if value is not None and (not isinstance(value, str) or len(value) > limit):
        raise ScriptError(f"{name} must be a text of at most {limit} characters")


def _check_status(value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not (value == 200 or 400 <= value <= 599):
        raise ScriptError("status must be 200, or from 400 to 599 to fail")


def _check_headers(headers: object) -> None:
    if not isinstance(headers, Mapping) or len(headers) > MAX_HEADERS:
        raise ScriptError(f"headers must be an object of at most {MAX_HEADERS} texts")
    for name, value in headers.items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name) or name.lower() in _FRAMING_HEADERS:
            raise ScriptError("headers must have valid names; those that frame the body cannot be set")
        is_text = isinstance(value, str) and len(value) <= MAX_HEADER_CHARS
        if not is_text or not _HEADER_VALUE.fullmatch(value):
            raise ScriptError(f"headers must have values of at most {MAX_HEADER_CHARS} visible characters")
