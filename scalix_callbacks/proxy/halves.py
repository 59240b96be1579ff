"""Characters that a provider cut in two: JSON lets it send half of a surrogate pair, and UTF-8 holds none."""

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel

_FIELDS = ("content", "reasoning_content", "refusal", "text")


def is_broken(texts: Iterable[str | None]) -> bool:
    """Whether one of them cannot be told in UTF-8."""
    return any(text and not text.isascii() and not _is_whole(text) for text in texts)


class Halves:
    """Of one stream. A first half waits for the second one; what gets none becomes U+FFFD, or is left out at
    the end. Without this LiteLLM fails to write the chunk."""

    def __init__(self) -> None:
        self._first: dict[tuple[Any, ...], str] = {}

    @property
    def is_waiting(self) -> bool:
        return bool(self._first)

    def mend(self, choice: Any) -> None:
        """Makes the texts of a choice whole, in place."""
        for place, holder, name in _texts_of(choice):
            text = getattr(holder, name, None)
            if isinstance(text, str) and text:
                setattr(holder, name, self._joined((getattr(choice, "index", 0), *place, name), text))

    def _joined(self, key: tuple[Any, ...], text: str) -> str:
        text = self._first.pop(key, "") + text
        if "\ud800" <= text[-1] <= "\udbff":
            self._first[key] = text[-1]
            text = text[:-1]
        return _replaced(text)


def mend_answer(answer: Any) -> None:
    """Makes all texts of a whole answer whole, in place."""
    match answer:
        case dict():
            for name, value in answer.items():
                answer[name] = _mended(value)
        case list():
            answer[:] = [_mended(value) for value in answer]
        case BaseModel():
            mend_answer(vars(answer))
            mend_answer(answer.__pydantic_extra__)


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return _replaced(value) if is_broken([value]) else value
    mend_answer(value)
    return value


def _replaced(text: str) -> str:
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _texts_of(choice: Any) -> Iterator[tuple[tuple[Any, ...], Any, str]]:
    delta = getattr(choice, "delta", None)
    holder = choice if delta is None else delta
    for name in _FIELDS:
        yield (), holder, name
    for at, call in enumerate(getattr(delta, "tool_calls", None) or ()):
        yield (getattr(call, "index", at),), getattr(call, "function", None), "arguments"


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
