"""The fields that each endpoint lets through, each with its check.

Sources: OpenAI's API reference (chat, completions, embeddings, responses) and Anthropic's (messages); the
app's extra fields are in its client contract.
"""

from collections.abc import Callable, Mapping
from typing import Any

from scalix_callbacks.core.caching import cache_problem
from scalix_callbacks.core.messages import MAX_MESSAGES, messages_problem
from scalix_callbacks.core.routes import Endpoint

MAX_MODEL_NAME = 200
MAX_CHOICES = 8
MAX_PROMPTS = 20
MAX_OUTPUT_TOKENS = 10_000_000

Check = Callable[[Any], str | None]
"""Value → what it must be, as the rest of the sentence "<field> must be …"; None: it is."""


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(low: float, high: float) -> Check:
    return lambda v: None if _is_number(v) and low <= v <= high else f"a number from {low:g} to {high:g}"


def _integer(low: int, high: int) -> Check:
    def check(value: Any) -> str | None:
        fits = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
        return None if fits else f"a whole number from {low} to {high}"

    return check


def _bool(value: Any) -> str | None:
    return None if isinstance(value, bool) else "true or false"


def _stream_options(value: Any) -> str | None:
    fits = isinstance(value, dict) and isinstance(value.get("include_usage"), bool | None)
    return None if fits else "an object whose include_usage is true or false"


def _text(longest: int) -> Check:
    return lambda v: (
        None if isinstance(v, str) and len(v) <= longest else f"a text of at most {longest} characters"
    )


def _one_of(*known: str) -> Check:
    return lambda v: None if isinstance(v, str) and v in known else f"one of {', '.join(known)}"


def _object(value: Any) -> str | None:
    return None if isinstance(value, dict) else "an object"


def _list_of(check: Check, most: int, what: str) -> Check:
    def check_all(value: Any) -> str | None:
        if not isinstance(value, list) or len(value) > most or any(check(item) is not None for item in value):
            return f"a list of at most {most} {what}"
        return None

    return check_all


def _either(first: Check, second: Check) -> Check:
    def check(value: Any) -> str | None:
        a, b = first(value), second(value)
        return None if a is None or b is None else f"{a} or {b}"

    return check


def _model(value: Any) -> str | None:
    fits = isinstance(value, str) and value.strip() and len(value) <= MAX_MODEL_NAME and value.isprintable()
    return None if fits else f"the name of a model, a text of at most {MAX_MODEL_NAME} printable characters"


def _input(value: Any) -> str | None:
    """The `input` of the Responses API: a text, or a list of items."""
    if isinstance(value, str) and value:
        return None
    if (
        isinstance(value, list)
        and 1 <= len(value) <= MAX_MESSAGES
        and all(isinstance(i, dict) for i in value)
    ):
        return None
    return f"a text or a list of 1 to {MAX_MESSAGES} objects"


def _embedding_input(value: Any) -> str | None:
    if isinstance(value, str) and value:
        return None
    if isinstance(value, list) and 1 <= len(value) <= 2_048:
        if all(isinstance(item, str) and item for item in value):
            return None
        if all(isinstance(item, int) and not isinstance(item, bool) for item in value):
            return None
        if all(isinstance(item, list) and item and all(type(n) is int for n in item) for item in value):
            return None
    return "a text, a list of at most 2048 texts, or tokens"


def _prompt(value: Any) -> str | None:
    """Each text of a list is a completion of its own, so that their number is bounded."""
    if isinstance(value, str) and value:
        return None
    if isinstance(value, list) and 1 <= len(value) <= MAX_PROMPTS and all(isinstance(v, str) for v in value):
        return None
    return f"a text or a list of 1 to {MAX_PROMPTS} texts"


def _tools(value: Any) -> str | None:
    """Functions only: hosted tools (web search, file search, remote servers) cost money of their own."""
    fits = isinstance(value, list) and len(value) <= 256
    if fits and all(
        isinstance(tool, dict) and tool.get("type", "custom") in ("function", "custom") for tool in value
    ):
        return None
    return "a list of at most 256 tools of type function"


def _stop(value: Any) -> str | None:
    return _either(_text(1_000), _list_of(_text(1_000), 16, "texts"))(value)


def _logit_bias(value: Any) -> str | None:
    fits = isinstance(value, dict) and len(value) <= 1_024 and all(_is_number(v) for v in value.values())
    return None if fits else "an object of at most 1024 numbers"


def _thinking(value: Any) -> str | None:
    fits = isinstance(value, dict) and value.get("type") in ("enabled", "disabled", "adaptive")
    budget = value.get("budget_tokens") if fits else None
    if fits and (budget is None or _integer(-1, MAX_OUTPUT_TOKENS)(budget) is None):
        return None
    return "an object with type enabled, disabled or adaptive and budget_tokens, a whole number"


def _scalix_options(value: Any) -> str | None:
    if not isinstance(value, dict):
        return "an object"
    if value.get("files") is not None and (problem := _files(value["files"])) is not None:
        return f"an object whose files are {problem}"
    for name in ("enable_lazy_edits", "enable_smart_files_context", "enable_smart_context"):
        if value.get(name) is not None and not isinstance(value[name], bool):
            return f"an object whose {name} is true or false"
    if value.get("smart_context_mode") not in (None, "balanced", "deep", "conservative", "off"):
        return "an object whose smart_context_mode is balanced or deep"
    return None


def _files(value: Any) -> str | None:
    fits = isinstance(value, list) and all(
        isinstance(file, dict) and isinstance(file.get("path"), str) and isinstance(file.get("content"), str)
        for file in value
    )
    return None if fits else "a list of objects with path and content, both texts"


def _not_kept(value: Any) -> str | None:
    """Fields that only mean something to a server that keeps texts; dropping them would lose some."""
    return "left out, for no texts are kept here: send all of them as input" if value else None


_output_tokens = _integer(1, MAX_OUTPUT_TOKENS)
_sampling: dict[str, Check] = {"temperature": _number(0, 2), "top_p": _number(0, 1)}
_common: dict[str, Check] = {"model": _model, "stream": _bool}
OURS: dict[str, Check] = {"scalix_options": _scalix_options, "files": _files}
_completion: dict[str, Check] = {
    **_common,
    **_sampling,
    "stream_options": _stream_options,
    "cache": cache_problem,
    "n": _integer(1, MAX_CHOICES),
    "max_tokens": _output_tokens,
    "stop": _stop,
    **dict.fromkeys(("presence_penalty", "frequency_penalty"), _number(-2, 2)),
    "logit_bias": _logit_bias,
    "seed": _integer(-(2**63), 2**63 - 1),
}
_reasoning_effort = _one_of("none", "minimal", "low", "medium", "high", "xhigh", "max", "default")

FIELDS: Mapping[Endpoint, Mapping[str, Check]] = {
    Endpoint.CHAT: {
        **_completion,
        **OURS,
        "messages": messages_problem,
        "max_completion_tokens": _output_tokens,
        "max_output_tokens": _output_tokens,
        "logprobs": _bool,
        "top_logprobs": _integer(0, 20),
        "top_k": _integer(0, 10_000),
        "min_p": _number(0, 1),
        "tools": _tools,
        "tool_choice": _either(_text(64), _object),
        "parallel_tool_calls": _bool,
        "functions": _list_of(_object, 256, "objects"),
        "function_call": _either(_text(64), _object),
        "response_format": _object,
        "reasoning_effort": _reasoning_effort,
        "thinking": _thinking,
        "verbosity": _one_of("low", "medium", "high"),
        "modalities": _list_of(_one_of("text", "audio"), 2, "of text, audio"),
        "audio": _object,
        "prediction": _object,
    },
    Endpoint.COMPLETIONS: {
        **_completion,
        "prompt": _prompt,
        "suffix": _text(100_000),
        "echo": _bool,
        "logprobs": _integer(0, 5),
    },
    Endpoint.EMBEDDINGS: {
        "model": _model,
        "input": _embedding_input,
        "encoding_format": _one_of("float", "base64"),
        "dimensions": _integer(1, 100_000),
    },
    Endpoint.RESPONSES: {
        **_common,
        **_sampling,
        "input": _input,
        "instructions": _text(10_000_000),
        "max_output_tokens": _output_tokens,
        "include": _list_of(_text(100), 20, "texts"),
        "tools": _tools,
        "tool_choice": _either(_text(64), _object),
        "parallel_tool_calls": _bool,
        "reasoning": _object,
        "text": _object,
        "top_logprobs": _integer(0, 20),
        "truncation": _one_of("auto", "disabled"),
        "previous_response_id": _not_kept,
        "conversation": _not_kept,
        "prompt": _not_kept,
        "background": _not_kept,
    },
    Endpoint.MESSAGES: {
        **_common,
        **_sampling,
        "messages": messages_problem,
        "max_tokens": _output_tokens,
        "system": _either(_text(10_000_000), _list_of(_object, 1_000, "objects")),
        "stop_sequences": _list_of(_text(1_000), 16, "texts"),
        "top_k": _integer(0, 10_000),
        "tools": _tools,
        "tool_choice": _object,
        "thinking": _thinking,
    },
}
REQUIRED: Mapping[Endpoint, tuple[str, ...]] = {
    Endpoint.CHAT: ("model", "messages"),
    Endpoint.COMPLETIONS: ("model", "prompt"),
    Endpoint.EMBEDDINGS: ("model", "input"),
    Endpoint.RESPONSES: ("model", "input"),
    Endpoint.MESSAGES: ("model", "messages", "max_tokens"),
}


def check_of_operator(name: str, check: Check) -> Check | None:
    """The check of the operator's own call: without what protects the operator from users."""
    if name == "tools":
        return _list_of(_object, 10_000, "objects")
    return None if check is _not_kept or name == "n" else check
