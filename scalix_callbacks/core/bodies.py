"""Reads and screens a request body.

A field that its endpoint lets through is checked; one that would steer LiteLLM itself is refused by name;
anything else is dropped.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from scalix_callbacks.core.endpoint_fields import FIELDS, OURS, REQUIRED, check_of_operator
from scalix_callbacks.core.errors import ErrorCategory, GatewayError, invalid
from scalix_callbacks.core.policy import ForbiddenField
from scalix_callbacks.core.routes import Endpoint
from scalix_callbacks.core.tiers import Feature

MAX_DEPTH = 64
MAX_NODES = 500_000


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
    fields = FIELDS[endpoint]
    kept: dict[str, Any] = {}
    for name, value in body.items():
        check = fields.get(name)
        if keep_unknown and check is not None:
            check = check_of_operator(name, check)
        if check is not None:
            # The API's own meaning of null is "not given".
            if value is None:
                continue
            if (problem := check(value)) is not None:
                raise invalid(f"{name} must be {problem}.", param=name)
            kept[name] = value
        elif keep_unknown and name not in OURS:
            kept[name] = value
        elif name not in DROPPED and (name in internal or is_internal(name)):
            raise ForbiddenField(_shown(name))
    for name in REQUIRED[endpoint]:
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


def too_large(limit_bytes: int) -> GatewayError:
    """The refusal of a body above `limit_bytes`."""
    return GatewayError(
        ErrorCategory.REQUEST_TOO_LARGE,
        f"The request body is larger than {limit_bytes:,} bytes. Send fewer or smaller files.",
    )
