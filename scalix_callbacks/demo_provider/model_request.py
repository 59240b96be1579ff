"""Reading the bodies of OpenAI's requests."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

import orjson

from scalix_callbacks.demo_provider.errors import BadRequest
from scalix_callbacks.demo_provider.tokens import count_tokens

MAX_CHOICES = 16
MAX_INPUTS = 2_048
MAX_DIMENSIONS = 4_096
DEFAULT_DIMENSIONS = 16
_MAX_KEYS = 200

_LENGTH_KEYS = ("max_tokens", "max_completion_tokens", "max_output_tokens")


class Endpoint(StrEnum):
    """The calls that are answered by a model."""

    CHAT = "chat"
    COMPLETIONS = "completions"
    EMBEDDINGS = "embeddings"
    RESPONSES = "responses"


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """What the provider needs to know of a request.

    `max_tokens` None is no limit. `choices` is `n` times the number of prompts. `inputs` are the texts to
    embed, for other endpoints `()`.
    """

    model: str
    is_stream: bool
    include_usage: bool
    choices: int
    max_tokens: int | None
    prompt_tokens: int
    last_user_text: str
    inputs: tuple[str, ...] = ()
    dimensions: int = DEFAULT_DIMENSIONS
    encoding: Literal["float", "base64"] = "float"


def read_object(raw: bytes) -> dict[str, Any]:
    """The JSON object in a body. Raises: BadRequest."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise BadRequest("The body is no valid JSON.") from None
    if not isinstance(body, dict):
        raise BadRequest("The body must be a JSON object.")
    return body


def top_level_keys(body: Mapping[str, Any]) -> tuple[str, ...]:
    """The field names of a body, sorted; at most 200."""
    return tuple(sys.intern(key[:100]) for key in sorted(body)[:_MAX_KEYS])


def read_request(endpoint: Endpoint, body: Mapping[str, Any]) -> ModelRequest:
    """Understand a request to `endpoint`. Raises: BadRequest, naming the field."""
    model = body.get("model")
    if not isinstance(model, str) or not 0 < len(model) <= 300:
        raise BadRequest("You must name a model.", param="model")
    is_stream = _switch(body, "stream")
    options = body.get("stream_options") or {}
    if not isinstance(options, dict):
        raise BadRequest("stream_options must be an object.", param="stream_options")
    include_usage = _switch(options, "include_usage")
    limits = [limit for key in _LENGTH_KEYS if (limit := _positive(body, key)) is not None]
    max_tokens = min(limits, default=None)
    match endpoint:
        case Endpoint.CHAT:
            choices = _choices(body)
            texts, last = _of_messages(body)
            count = sum(map(count_tokens, texts))
            return ModelRequest(model, is_stream, include_usage, choices, max_tokens, count, last)
        case Endpoint.RESPONSES:
            texts, last = _of_responses(body)
            count = sum(map(count_tokens, texts))
            return ModelRequest(model, is_stream, include_usage, 1, max_tokens, count, last)
        case Endpoint.COMPLETIONS:
            prompts = _prompts(body.get("prompt", ""), "prompt")
            choices = _choices(body) * len(prompts)
            if choices > MAX_CHOICES:
                raise BadRequest(f"At most {MAX_CHOICES} choices over all prompts.", param="prompt")
            count = sum(tokens for _, tokens in prompts)
            return ModelRequest(model, is_stream, include_usage, choices, max_tokens, count, prompts[-1][0])
        case Endpoint.EMBEDDINGS:
            return _embeddings(model, body)


def _embeddings(model: str, body: Mapping[str, Any]) -> ModelRequest:
    inputs = _prompts(body.get("input"), "input")
    encoding = body.get("encoding_format") or "float"
    if encoding not in ("float", "base64"):
        raise BadRequest("encoding_format must be float or base64.", param="encoding_format")
    dimensions = _positive(body, "dimensions") or DEFAULT_DIMENSIONS
    if dimensions > MAX_DIMENSIONS:
        raise BadRequest(f"dimensions must be at most {MAX_DIMENSIONS}.", param="dimensions")
    return ModelRequest(
        model=model,
        is_stream=False,
        include_usage=False,
        choices=0,
        max_tokens=None,
        prompt_tokens=sum(tokens for _, tokens in inputs),
        last_user_text=inputs[-1][0],
        inputs=tuple(text for text, _ in inputs),
        dimensions=dimensions,
        encoding="base64" if encoding == "base64" else "float",
    )


def _of_messages(body: Mapping[str, Any]) -> tuple[list[str], str]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequest("messages must be a list with at least one message.", param="messages")
    return _of_items(messages, "messages")


def _of_responses(body: Mapping[str, Any]) -> tuple[list[str], str]:
    given = body.get("input")
    instructions = body.get("instructions")
    texts = [instructions] if isinstance(instructions, str) else []
    if isinstance(given, str):
        return [*texts, given], given
    if not isinstance(given, list) or not given:
        raise BadRequest("input must be a text or a list with at least one item.", param="input")
    item_texts, last = _of_items(given, "input")
    return texts + item_texts, last


def _of_items(items: list[Any], param: str) -> tuple[list[str], str]:
    """All texts of the messages or input items, and the text of the last one by the user ("" without one)."""
    texts: list[str] = []
    last = ""
    for item in items:
        if not isinstance(item, dict):
            raise BadRequest(f"Each item of {param} must be an object.", param=param)
        item_texts = [text for key in ("content", "output") for text in _texts(item.get(key))]
        texts += item_texts
        if item.get("role") == "user":
            last = "\n".join(item_texts)
    return texts, last


def _texts(content: object) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for part in content:
            if isinstance(part, dict) and isinstance(part.get("text"), str):
                yield part["text"]


def _prompts(given: object, param: str) -> list[tuple[str, int]]:
    """Each prompt with its tokens. A prompt is a text, or a list of token ids, which has no text."""
    if isinstance(given, str):
        return [(given, count_tokens(given))]
    if not isinstance(given, list) or not given:
        raise BadRequest(f"{param} must be a text, a list of texts, or token ids.", param=param)
    if _is_ids(given):
        return [("", len(given))]
    if len(given) > MAX_INPUTS:
        raise BadRequest(f"{param} must hold at most {MAX_INPUTS} texts.", param=param)
    prompts: list[tuple[str, int]] = []
    for each in given:
        if isinstance(each, str):
            prompts.append((each, count_tokens(each)))
        elif isinstance(each, list) and each and _is_ids(each):
            prompts.append(("", len(each)))
        else:
            raise BadRequest(f"{param} must be a text, a list of texts, or token ids.", param=param)
    return prompts


def _is_ids(value: list[Any]) -> bool:
    return all(isinstance(each, int) for each in value)


def _choices(body: Mapping[str, Any]) -> int:
    choices = _positive(body, "n") or 1
    if choices > MAX_CHOICES:
        raise BadRequest(f"n must be at most {MAX_CHOICES}.", param="n")
    return choices


def _switch(body: Mapping[str, Any], key: str) -> bool:
    value = body.get(key)
    if value is not None and not isinstance(value, bool):
        raise BadRequest(f"{key} must be true or false.", param=key)
    return bool(value)


def _positive(body: Mapping[str, Any], key: str) -> int | None:
    value = body.get(key)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise BadRequest(f"{key} must be an integer of at least 1.", param=key)
    return value
