"""How many tokens a prompt will be, guessed at a cost that its size cannot run up."""

import re
from collections.abc import Mapping
from typing import Any

import orjson

from scalix_callbacks.core.routes import Endpoint

CALL_TOKENS = 3
"""What a chat costs before its first message: the beginning of the answer (OpenAI's cookbook)."""
MESSAGE_TOKENS = 4
"""What a message or file costs beside its text: its role and its borders (OpenAI's cookbook: 3, names 1)."""
IMAGE_TOKENS = 1_000
"""OpenAI's high detail of a 1024² image is 765, Anthropic's largest 1,600."""
ATTACHMENT_TOKENS = 2_000
"""An audio clip, video or document: one minute of speech, or one page."""
MAX_LOOKED_AT = 10_000
"""Messages, items and parts looked at one by one; what follows is counted by the length of its JSON."""
_MAX_DEPTH = 16

# The bytes of UTF-8 that may begin white space become " ", all others "x". Beside ASCII's those are C2,
# E1, E2 and E3 (U+00A0, U+1680, U+2000…, U+3000). They begin much else, too, but each such character weighs
# about a token anyway, so that taking them all for spaces only keeps the count from being too low.
_MAY_BE_SPACE = bytes(range(0x09, 0x0E)) + bytes(range(0x1C, 0x21)) + b"\xc2\xe1\xe2\xe3"
_SHAPES = bytes(0x20 if byte in _MAY_BE_SPACE else 0x78 for byte in range(256))


def text_tokens(text: str) -> int:
    """About how many tokens a text is; 0 for an empty one, and never fewer than it has words.

    A token is four ASCII characters, or one of three bytes (Chinese, Japanese, Korean); two-byte
    characters (Cyrillic, accents) count 5/8, four-byte ones (emoji) 11/8. Takes about 3 ms per MB.
    """
    raw = text.encode("utf-8", "surrogatepass")
    # With n1 … n4 characters of 1 … 4 bytes: n1/4 + 5/8 n2 + n3 + 11/8 n4, rounded up.
    by_length = (3 * len(raw) - len(text) + 7) // 8
    shapes = raw.translate(_SHAPES)
    words = shapes.count(b" x") + shapes.startswith(b"x")
    return max(by_length, words)


def prompt_tokens(
    endpoint: Endpoint, body: Mapping[str, Any], options: Mapping[str, Any] | None = None
) -> int:
    """About how many tokens of prompt a call is.

    Args:
        body: as the screen lets it through (`core.bodies.Screened.body`).
        options: its `scalix_options`; their files become part of the prompt.

    Images, audio and documents count a flat number, whatever their size; token ids count themselves.
    """
    walk = _Walk()
    match endpoint:
        case Endpoint.EMBEDDINGS:
            return _input_tokens(body.get("input"))
        case Endpoint.COMPLETIONS:
            total = _input_tokens(body.get("prompt")) + _json_tokens(body.get("suffix"))
        case Endpoint.RESPONSES:
            total = CALL_TOKENS + walk.content(body.get("input")) + walk.content(body.get("instructions"))
        case Endpoint.CHAT | Endpoint.MESSAGES:
            # A prediction is charged as completion where the answer differs; it is held with the prompt.
            total = CALL_TOKENS + sum(
                walk.content(body.get(name)) for name in ("messages", "system", "prediction")
            )
    total += sum(_json_tokens(body.get(name)) for name in ("tools", "functions", "response_format", "text"))
    if options is not None:
        total += walk.content(options.get("files"))
    return total


def _input_tokens(value: object) -> int:
    """Of what embeddings and completions take: a text, texts, token ids, or lists of those."""
    if isinstance(value, str):
        return text_tokens(value)
    if not isinstance(value, list):
        return 0
    return sum(
        text_tokens(item) if isinstance(item, str) else len(item) if isinstance(item, list) else 1
        for item in value
    )


class _Walk:
    """Looks at messages, items, parts and files, which nest in each other; counts how many it saw."""

    def __init__(self) -> None:
        self._left = MAX_LOOKED_AT

    def content(self, value: object, depth: int = 0) -> int:
        """Of a text, an object, or a list of these."""
        if isinstance(value, str):
            return text_tokens(value)
        if not isinstance(value, Mapping | list) or depth > _MAX_DEPTH:
            return _json_tokens(value)
        if isinstance(value, Mapping):
            return self._element(value, depth)
        total = 0
        for i, item in enumerate(value):
            if self._left <= 0:
                return total + _json_tokens(value[i:])
            total += self.content(item, depth + 1)
        return total

    def _element(self, element: Mapping[str, Any], depth: int) -> int:
        """Of one message, item, part or file: its texts, and what else it holds as JSON."""
        self._left -= 1
        flat = _flat_tokens(element)
        total = flat or (MESSAGE_TOKENS if "role" in element or "path" in element else 0)
        for name, value in element.items():
            if name in _TEXTS:
                total += self.content(value, depth + 1)
            elif not flat and name not in _UNCOUNTED:
                total += _json_tokens(value)
        return total


_TEXTS = frozenset({"content", "text", "output", "thinking", "refusal"})
_UNCOUNTED = frozenset({"type", "role", "id", "cache_control", "status", "detail", "signature"})


def _flat_tokens(element: Mapping[str, Any]) -> int:
    """What a part counts whose size says nothing of its tokens; 0: it is counted by its text."""
    kind = element.get("type")
    if not isinstance(kind, str) or kind in _PLAIN_KINDS:
        return 0
    if "image" in kind or "screenshot" in kind:
        return IMAGE_TOKENS
    source = element.get("source")
    if isinstance(source, Mapping) and source.get("type") in ("text", "content"):
        return 0  # Anthropic's documents in plain text
    return ATTACHMENT_TOKENS if any(word in kind for word in _ATTACHMENTS) else 0


_PLAIN_KINDS = frozenset({"text", "input_text", "output_text", "message", "tool_use", "tool_result"})
_ATTACHMENTS = ("audio", "file", "document", "video")
_DATA_URL = re.compile(r'"data:[^",]{0,200};base64,[^"]*')


def _json_tokens(value: object) -> int:
    """Of anything else, by its text or the length of its JSON; what a data URL holds is left out."""
    if value is None:
        return 0
    if isinstance(value, str):
        return text_tokens(value)
    try:
        text = orjson.dumps(value).decode()
    except TypeError:  # what no JSON holds, such as half a surrogate pair
        text = repr(value)
    if ";base64," in text:
        text = _DATA_URL.sub('"', text)
    return text_tokens(text)
