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


def is_answer(answer: Any) -> bool:
    """Whether its provider said anything: a word, why there is none, or that it used something.

    LiteLLM makes an answer of nearly any JSON, and hands Anthropic's on unread.
    """
    if isinstance(answer, dict) and not isinstance(answer.get("content"), list):
        return False  # of Anthropic's API, whose clients need it
    if getattr(answer, "error", None) or (isinstance(answer, dict) and answer.get("error")):
        return False
    return parse_usage(_plain(_usage_in(answer))) is not None or says_something(answer)


def says_something(answer: Any) -> bool:
    """Whether it holds a word or a call, or why there is none."""
    body = _plain(answer)
    return any(_texts(body)) or any(reason not in _ENDED_WELL for reason in _reasons(body))


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


_ENDED_WELL = (None, "stop", "end_turn", "completed")


def _reasons(body: Any) -> Iterator[Any]:
    if not isinstance(body, Mapping):
        return
    yield body.get("stop_reason")
    yield body.get("status")
    for choice in body.get("choices") or ():
        yield choice.get("finish_reason")


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
