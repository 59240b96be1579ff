"""What of a conversation the ranking goes by: its last messages, the newest most."""

from collections.abc import Mapping, Sequence
from typing import Any

from scalix_callbacks.core.context.ranking import FADING, MAX_QUERY_CHARS, MAX_TALK, Said

_ASSISTANTS = 0.3
"""What an answer counts beside a request: it is long, and full of code."""


def said_in(messages: Sequence[Mapping[str, Any]]) -> list[Said]:
    """The newest first. System messages say how to answer, not what it is about."""
    said: list[Said] = []
    left, weight = MAX_QUERY_CHARS, 1.0
    for message in reversed(messages[-MAX_TALK:]):
        role = message.get("role")
        if role not in ("user", "assistant") or left <= 0:
            continue
        text = _text_of(message.get("content"))[-left:]
        left -= len(text)
        said.append(Said(text, weight if role == "user" else weight * _ASSISTANTS))
        if role == "user":
            weight *= FADING
    return said


def _text_of(content: object) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = (part.get("text") for part in content[:100] if isinstance(part, Mapping))
    return "\n".join(text for text in texts if isinstance(text, str))
