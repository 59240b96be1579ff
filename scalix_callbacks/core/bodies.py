"""What a request body may hold: per endpoint the fields let through, each with its check.

A field that is listed is checked; one that would steer LiteLLM itself is refused by name; anything else
is dropped. Sources: OpenAI's API reference (chat, completions, embeddings, responses) and Anthropic's
(messages); the app's extra fields are in its client contract.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from scalix_callbacks.core.caching import cache_problem
from scalix_callbacks.core.errors import ErrorCategory, GatewayError, invalid
from scalix_callbacks.core.messages import MAX_MESSAGES, messages_problem
from scalix_callbacks.core.policy import ForbiddenField
from scalix_callbacks.core.routes import Endpoint
from scalix_callbacks.core.tiers import Feature

MAX_DEPTH = 64
MAX_NODES = 500_000
MAX_MODEL_NAME = 200
MAX_CHOICES = 8
MAX_PROMPTS = 20
MAX_OUTPUT_TOKENS = 10_000_000

Check = Callable[[Any], str | None]
"""Value → what it must be, as the rest of the sentence "<field> must be …"; None: it is."""


@dataclass(frozen=True, slots=True)
class Screened:
    """A body that may go on.

    Attributes:
        body, model: the fields let through, in the order given, and the public model name asked for.
        options, cache: `scalix_options` and `cache`, for the pack alone; never part of `body`.
        dropped: the features the caller's tier lacks, with whose fields it came.
    """

    body: dict[str, Any]
    model: str
    is_stream: bool
    options: Mapping[str, Any] | None
    dropped: tuple[Feature, ...] = ()
    cache: Mapping[str, Any] | None = None


def parse_body(raw: bytes) -> dict[str, Any]:
    """A JSON object within our bounds.

    Raises:
        GatewayError: INVALID_REQUEST with what is wrong with it.
    """
    if not raw.strip():
        raise invalid("The request body is empty. Send a JSON object.")
    try:
        data = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise _no_json(raw, error) from None
    if not isinstance(data, dict):
        raise invalid("The request body must be a JSON object. Wrap the fields in { }.")
    _check_size(data, raw)
    return data


def screen(
    endpoint: Endpoint, body: Mapping[str, Any], *, internal: Collection[str], keep_unknown: bool = False
) -> Screened:
    """Checks and filters one body.

    Args:
        internal: further field names that steer LiteLLM; refused like those known here.
        keep_unknown: the operator's own call: nothing is dropped or refused, only checked.

    Raises:
        GatewayError: INVALID_REQUEST naming the field, in `param`.
    """
    fields = _FIELDS[endpoint]
    kept: dict[str, Any] = {}
    for name, value in body.items():
        check = fields.get(name)
        if keep_unknown and check is not None:
            check = _operators(name, check)
        if check is not None:
            # The API's own meaning of null is "not given".
            if value is None:
                continue
            if (problem := check(value)) is not None:
                raise invalid(f"{name} must be {problem}.", param=name)
            kept[name] = value
        elif keep_unknown and name not in _ours:
            kept[name] = value
        elif name not in DROPPED and (name in internal or is_internal(name)):
            raise ForbiddenField(_shown(name))
    for name in _REQUIRED[endpoint]:
        if name not in kept:
            raise invalid(f"{name} is missing. Add it.", param=name)
    options, cache = _options(body, kept), kept.pop("cache", None)
    return Screened(kept, kept["model"], kept.get("stream") is True, options, cache=cache)


DROPPED = frozenset(
    {
        "user",
        "metadata",
        "store",
        "service_tier",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_retention",
    }
)
"""Harmless, and not passed on: they identify people, make a provider keep a call, or raise its price."""

_INTERNAL = frozenset(
    {
        "additional_drop_params",
        "base_url",
        "callbacks",
        "default_headers",
        "deployment_id",
        "drop_params",
        "extra_body",
        "extra_headers",
        "extra_query",
        "failure_callback",
        "litellm_params",
        "modify_params",
        "no-log",
        "organization",
        "service_callback",
        "specific_deployment",
        "standard_logging_object",
        "stream_timeout",
        "success_callback",
        "timeout",
        "user_config",
    }
)
_INTERNAL_PREFIXES = (
    "_",
    "api_",
    "aws_",
    "azure_",
    "litellm",
    "mock_",
    "proxy_",
    "router_",
    "user_api_key",
    "vertex_",
    "x-",
)


def is_internal(name: str) -> bool:
    """Whether a field steers LiteLLM itself: where a call goes, as whom, at what price, seen by whom."""
    lowered = name.lower()
    return lowered in _INTERNAL or lowered.startswith(_INTERNAL_PREFIXES) or "_cost" in lowered


def _options(body: Mapping[str, Any], kept: dict[str, Any]) -> Mapping[str, Any] | None:
    """Takes `scalix_options`, and a top-level `files`, out of the body."""
    options = dict(kept.pop("scalix_options", None) or {})
    if (files := kept.pop("files", None)) is not None:
        options["files"] = options.get("files") or files
    return options or None


def _check_size(data: object, raw: bytes) -> None:
    """Bounds nesting and the number of values, without recursion."""
    openings = raw.count(b"{") + raw.count(b"[")
    # Each value but the first stands behind a comma or an opening bracket.
    if openings <= MAX_DEPTH and openings + raw.count(b",") <= MAX_NODES:
        return
    level, nodes = [data], 0
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        nodes += len(below)
        if nodes > MAX_NODES:
            raise invalid(f"The request body holds more than {MAX_NODES} values. Send fewer.")
        level = [item for item in below if isinstance(item, dict | list)]
        if not level:
            return
    raise _too_deep()


def _too_deep() -> GatewayError:
    return invalid(f"The request body is nested deeper than {MAX_DEPTH} levels. Flatten it.")


def _no_json(raw: bytes, error: orjson.JSONDecodeError) -> GatewayError:
    """Where the JSON breaks and why, without quoting any of it; orjson's own words never do."""
    if error.msg.startswith("depth limit"):
        return _too_deep()
    try:
        raw.decode()
    except UnicodeDecodeError:
        return invalid("The request body is not valid JSON: it is not in UTF-8. Correct its encoding.")
    where = f"line {error.lineno}, column {error.colno}: {error.msg}"
    return invalid(f"The request body is not valid JSON ({where}). Correct it.")


def _shown(name: str) -> str:
    """A field's name that is safe in a message, which the app renders as Markdown."""
    return re.sub(r"[^A-Za-z0-9_-]", "?", name[:64])


# --- checks --------------------------------------------------------------------------------------


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
_ours: dict[str, Check] = {"scalix_options": _scalix_options, "files": _files}
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

_FIELDS: Mapping[Endpoint, Mapping[str, Check]] = {
    Endpoint.CHAT: {
        **_completion,
        **_ours,
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
_REQUIRED: Mapping[Endpoint, tuple[str, ...]] = {
    Endpoint.CHAT: ("model", "messages"),
    Endpoint.COMPLETIONS: ("model", "prompt"),
    Endpoint.EMBEDDINGS: ("model", "input"),
    Endpoint.RESPONSES: ("model", "input"),
    Endpoint.MESSAGES: ("model", "messages", "max_tokens"),
}


def _operators(name: str, check: Check) -> Check | None:
    """The check of the operator's own call: without what protects the operator from users."""
    if name == "tools":
        return _list_of(_object, 10_000, "objects")
    return None if check is _not_kept or name == "n" else check


def allowed_fields(endpoint: Endpoint) -> frozenset[str]:
    """The field names let through or, for the pack's own, taken out."""
    return frozenset(_FIELDS[endpoint])


def too_large(limit_bytes: int) -> GatewayError:
    """The refusal of a body above `limit_bytes`."""
    return GatewayError(
        ErrorCategory.REQUEST_TOO_LARGE,
        f"The request body is larger than {limit_bytes:,} bytes. Send fewer or smaller files.",
    )
