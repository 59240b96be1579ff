"""What a whole answer used, by its provider's report or else by its text."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from scalix_callbacks.core.estimate import text_tokens
from scalix_callbacks.core.usage import UNKNOWN, Usage, parse_usage


def usage_of(answer: Any, prompt_estimate: int) -> Usage:
    """Of an answer of LiteLLM's, an object or a dict."""
    reported = parse_usage(_plain(_usage_in(answer))) or UNKNOWN
    if reported.prompt_tokens is not None and reported.completion_tokens is not None:
        return reported
    texts = "".join(_texts(_plain(answer)))
    return reported.completed(
        prompt_tokens=prompt_estimate, completion_tokens=text_tokens(texts) if texts else 0
    )


def tell_estimated(answer: Any, used: Usage) -> None:
    """Puts an estimate in the place of the zeros by which LiteLLM stands in for a report."""
    told = _usage_in(answer)
    if not used.is_estimated or told is None:
        return
    fields = told if isinstance(told, dict) else vars(told)
    values = {
        "prompt_tokens": used.prompt_tokens,
        "completion_tokens": used.completion_tokens,
        "input_tokens": used.prompt_tokens,
        "output_tokens": used.completion_tokens,
        "total_tokens": used.total_tokens,
    }
    for name in values.keys() & fields.keys():
        if isinstance(told, dict):
            told[name] = values[name]
        else:
            setattr(told, name, values[name])


def _usage_in(answer: Any) -> Any:
    return answer.get("usage") if isinstance(answer, dict) else getattr(answer, "usage", None)


def _plain(value: Any) -> Any:
    return value.model_dump(warnings=False) if isinstance(value, BaseModel) else value


def _texts(body: Any) -> Iterator[str]:
    """All that a model said or called, in the forms of chat, completions, responses and messages."""
    if not isinstance(body, Mapping):
        return
    for name in ("text", "content", "reasoning_content", "thinking", "name", "arguments"):
        if isinstance(body.get(name), str):
            yield body[name]
    if isinstance(body.get("input"), Mapping):
        yield json.dumps(body["input"])
    for name in ("choices", "message", "content", "tool_calls", "function", "output", "summary"):
        below = body.get(name)
        for item in below if isinstance(below, list) else [below]:
            yield from _texts(_plain(item))
