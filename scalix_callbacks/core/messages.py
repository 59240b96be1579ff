"""What the messages of a chat may hold; LiteLLM and providers stumble over anything else, each in its way.

Sources: OpenAI's API reference (chat) and Anthropic's (messages).
"""

from collections.abc import Callable, Mapping
from typing import Any

MAX_MESSAGES = 5_000

_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_NO_CONTENT_ROLES = frozenset({"assistant", "tool", "function"})


def messages_problem(value: Any) -> str | None:
    """What `messages` must be, as the rest of the sentence "messages must be …"; None: it is."""
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_MESSAGES:
        return f"a list of 1 to {MAX_MESSAGES} messages"
    for i, message in enumerate(value):
        if not isinstance(message, dict):
            return f"a list of objects; entry {i} is none"
        role = message.get("role")
        if not isinstance(role, str) or role not in _ROLES:
            return (
                f"a list of messages with a role of {', '.join(sorted(_ROLES))}; entry {i} has none of them"
            )
        if (problem := _content(message.get("content"), role) or _calls(message)) is not None:
            return f"a list of messages {problem}; entry {i} does not fit"
    return None


def _content(content: Any, role: str) -> str | None:
    if isinstance(content, str) or (content is None and role in _NO_CONTENT_ROLES):
        return None
    if not isinstance(content, list) or not content:
        return "whose content is a text or a list of parts"
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if not isinstance(kind, str):
            return "whose content parts are objects with a type"
        if (known := _PARTS.get(kind)) is not None and not known[0](part.get(kind)):
            return f"whose content parts of type {kind} hold {known[1]}"
        if kind in _WITH_SOURCE and not isinstance(part.get("source"), dict):
            return f"whose content parts of type {kind} have a source, an object"
    return None


def _calls(message: Mapping[str, Any]) -> str | None:
    """An assistant's calls of tools, and the older form of them."""
    calls = message.get("tool_calls")
    if calls is not None and not (isinstance(calls, list) and all(map(_is_call, calls))):
        return "whose tool_calls are a list of objects"
    if not isinstance(message.get("function_call"), dict | None):
        return "whose function_call is an object"
    return None


def _is_call(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("function"), dict | None)


def _is_image(value: Any) -> bool:
    """OpenAI's form is an object; LiteLLM takes an address alone as well."""
    return isinstance(value, str) or (isinstance(value, dict) and isinstance(value.get("url"), str))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


_PARTS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "text": (_is_text, "a text"),
    "image_url": (_is_image, "an object with its url"),
    "input_audio": (_is_object, "an object"),
    "file": (_is_object, "an object"),
}
"""Of each type that has its value under its own name; what it must be."""

_WITH_SOURCE = frozenset({"image", "document"})
"""Anthropic's."""
