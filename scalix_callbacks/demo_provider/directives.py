"""Scripts a caller asks for in band: by the model's name or in its last message."""

import re
from collections.abc import Callable
from typing import Any

from scalix_callbacks.demo_provider.script import Script, ScriptError, ToolCall, UsageOverride, finish_reason

MAX_DIRECTIVE_CHARS = 500

DEFAULT_SCRIPT = Script()

MODEL_SCRIPTS = {
    "demo": DEFAULT_SCRIPT,
    "demo-slow": Script(delay_before_s=0.5, delay_per_token_s=0.1),
    "demo-long": Script(tokens=500),
    "demo-no-usage": Script(report_usage=False),
    "demo-tools": Script(tool_calls=(ToolCall("get_weather", '{"city": "Zurich"}'),)),
    "demo-hang": Script(hang=True),
    "demo-stall": Script(hang_after_tokens=3),
    "demo-cut": Script(cut_after_tokens=3, delay_per_token_s=0.05),
    "demo-garbage": Script(garbage=True),
    "demo-fail-midstream": Script(fail_after_tokens=3, delay_per_token_s=0.05),
}
"""What each model name does; `demo-fail-STATUS` fails with that status; other names act as `demo`."""

_FAIL_MODEL = "demo-fail-"
_OPENING = re.compile(r"\[demo(?=[\s\]])")


def script_of_model(model: str) -> Script:
    """The script that goes with a model name as received upstream; an unknown name answers like `demo`.

    Raises: ScriptError, for `demo-fail-…` without a status from 400 to 599.
    """
    known = MODEL_SCRIPTS.get(model)
    if known is not None:
        return known
    if model.startswith(_FAIL_MODEL):
        return Script(**_failure(model.removeprefix(_FAIL_MODEL)))
    return DEFAULT_SCRIPT


def script_in_message(text: str) -> Script | None:
    """The script of a directive such as `[demo fail=503]` in `text`, or None without one.

    Inside the brackets: words parted by white space, each `key=value`, or a bare key that means `on`; see
    `DIRECTIVE_KEYS`. `[demo]` alone is the default answer.

    Raises: ScriptError, for an unknown key, a bad value, more than one directive, or one that does not end
    within 500 characters.
    """
    opening = _OPENING.search(text)
    if opening is None:
        return None
    end = text.find("]", opening.end(), opening.end() + MAX_DIRECTIVE_CHARS)
    if end < 0:
        raise ScriptError(f"a [demo …] directive must end with ] within {MAX_DIRECTIVE_CHARS} characters")
    if _OPENING.search(text, end):
        raise ScriptError("a message may hold one [demo …] directive")
    return _script_of_words(text[opening.end() : end].split())


def _script_of_words(words: list[str]) -> Script:
    given: dict[str, Any] = {}
    usage: dict[str, int] = {}
    for word in words:
        key, _, value = word.partition("=")
        read = DIRECTIVE_KEYS.get(key)
        if read is None:
            raise ScriptError(f"[demo …] has no key {key[:50]!r}; it has {', '.join(DIRECTIVE_KEYS)}")
        if key in USAGE_KEYS:
            usage |= read(value)
        else:
            given |= read(value)
    if usage:
        given["usage"] = UsageOverride(**usage)
    return Script(**given)


def _failure(value: str) -> dict[str, Any]:
    status = _integer("fail", value)
    if not 400 <= status <= 599:
        raise ScriptError("fail needs a status from 400 to 599")
    return {"status": status}


def _count_field(name: str, field: str) -> Callable[[str], dict[str, Any]]:
    return lambda value: {field: _integer(name, value)}


def _integer(name: str, value: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", value):
        raise ScriptError(f"{name} needs an integer, such as {name}=3")
    return int(value)


def _seconds_field(name: str, field: str) -> Callable[[str], dict[str, Any]]:
    def read(value: str) -> dict[str, Any]:
        if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", value):
            raise ScriptError(f"{name} needs a number of seconds, such as {name}=0.5")
        return {field: float(value)}

    return read


def _switch_field(name: str, field: str) -> Callable[[str], dict[str, Any]]:
    def read(value: str) -> dict[str, Any]:
        if value not in ("", "on", "off"):
            raise ScriptError(f"{name} is on or off")
        return {field: value != "off"}

    return read


def _retry_after(value: str) -> dict[str, Any]:
    return {"headers": {"retry-after": str(_integer("retry_after", value))}}


def _finish(value: str) -> dict[str, Any]:
    return {"finish_reason": finish_reason(value)}


def _tag(value: str) -> dict[str, Any]:
    if not re.fullmatch(r"[A-Za-z0-9_.:-]{1,100}", value):
        raise ScriptError("tag needs up to 100 letters, digits and marks, such as tag=call-7")
    return {"tag": value}


def _recorded(value: str) -> dict[str, Any]:
    if not re.fullmatch(r"[a-z0-9_]{1,100}", value):
        raise ScriptError("error needs the name of a recorded failure, such as error=context_window")
    return {"failure": value}


def _tool(value: str) -> dict[str, Any]:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", value):
        raise ScriptError("tool needs the name of a function, such as tool=get_weather")
    return {"tool_calls": (ToolCall(value),)}


USAGE_KEYS = frozenset({"prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens"})

DIRECTIVE_KEYS: dict[str, Callable[[str], dict[str, Any]]] = {
    "fail": _failure,
    "error": _recorded,
    "retry_after": _retry_after,
    "delay": _seconds_field("delay", "delay_before_s"),
    "delay_per_token": _seconds_field("delay_per_token", "delay_per_token_s"),
    "tokens": _count_field("tokens", "tokens"),
    "usage": _switch_field("usage", "report_usage"),
    "fail_after": _count_field("fail_after", "fail_after_tokens"),
    "cut_after": _count_field("cut_after", "cut_after_tokens"),
    "hang_after": _count_field("hang_after", "hang_after_tokens"),
    "hang": _switch_field("hang", "hang"),
    "garbage": _switch_field("garbage", "garbage"),
    "finish": _finish,
    "tool": _tool,
    "tag": _tag,
    "prompt_tokens": _count_field("prompt_tokens", "prompt_tokens"),
    "completion_tokens": _count_field("completion_tokens", "completion_tokens"),
    "cached_tokens": _count_field("cached_tokens", "cached_tokens"),
    "reasoning_tokens": _count_field("reasoning_tokens", "reasoning_tokens"),
}
"""The keys of a directive, each with the reader of its value into fields of a Script."""
