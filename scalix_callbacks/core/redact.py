"""Taking secrets out of text that is about to leave the process: log lines above all."""

import re
from collections.abc import Iterable

MASK = "[redacted]"
_SHAPES = re.compile(
    r"""
    \bscalix_[A-Za-z0-9_-]{32,}                # users' keys; the names of metrics are shorter
    | \bsk-[A-Za-z0-9_-]{12,}                  # OpenAI-shaped keys, the master key among them
    | \bAIza[A-Za-z0-9_-]{20,}                 # Google's
    | \beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+  # tokens of anonymous users (JWT)
    | (?:(?<=(?i:bearer)\s)[^\s"',;]{8,})
    | (?:(?<=://)[^\s/:@]*:[^\s/]+(?=@))      # user:password@ in an address; the last @ ends it
    """,
    re.VERBOSE,
)
_SIGNS = ("scalix_", "sk-", "AIza", "eyJ", "://")
"""Without one of these, or the word bearer, a text holds none of these shapes."""
MIN_SECRET_LENGTH = 6
"""Shorter values are words; masking them would make the log unreadable and hide nothing."""


class Redactor:
    """Replaces known secrets, and whatever is shaped like a key, by `[redacted]`."""

    def __init__(self, secrets: Iterable[str]) -> None:
        known = sorted({s for s in secrets if len(s) >= MIN_SECRET_LENGTH}, key=len, reverse=True)
        self._secrets = tuple(known)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, text: str) -> str:
        # To look for words is fifty times faster than to look for patterns, and most lines hold none.
        if self._known is not None and any(secret in text for secret in self._secrets):
            text = self._known.sub(MASK, text)
        if any(sign in text for sign in _SIGNS) or "bearer" in text.lower():
            text = _SHAPES.sub(MASK, text)
        return text
