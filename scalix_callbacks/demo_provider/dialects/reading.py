"""Checks that several dialects make of a request's body."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from scalix_callbacks.demo_provider.errors import BadRequest
from scalix_callbacks.demo_provider.tokens import count_tokens


def string(body: Mapping[str, Any], key: str, complaint: str) -> str:
    """The text under `key`, 1 to 300 characters. Raises: BadRequest, with `complaint`."""
    value = body.get(key)
    if not isinstance(value, str) or not 0 < len(value) <= 300:
        raise BadRequest(complaint, param=key)
    return value


def objects(body: Mapping[str, Any], key: str, complaint: str) -> list[dict[str, Any]]:
    """The non-empty list of objects under `key`. Raises: BadRequest, with `complaint`."""
    value = body.get(key)
    if not isinstance(value, list) or not value or not all(isinstance(each, dict) for each in value):
        raise BadRequest(complaint, param=key)
    return value


def part(body: Mapping[str, Any], key: str, complaint: str) -> dict[str, Any]:
    """The object under `key`, {} without one. Raises: BadRequest, with `complaint`."""
    value = body.get(key)
    if value is not None and not isinstance(value, dict):
        raise BadRequest(complaint, param=key)
    return value or {}


def count(body: Mapping[str, Any], key: str, complaint: str) -> int | None:
    """The integer of at least 1 under `key`, None without one. Raises: BadRequest, with `complaint`."""
    value = body.get(key)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise BadRequest(complaint, param=key)
    return value


def switch(body: Mapping[str, Any], key: str, complaint: str, *, default: bool = False) -> bool:
    """The truth under `key`. Raises: BadRequest, with `complaint`."""
    value = body.get(key, default)
    if not isinstance(value, bool):
        raise BadRequest(complaint, param=key)
    return value


def unknown(body: Mapping[str, Any], known: Collection[str]) -> str | None:
    """The first field that the provider does not have."""
    return next((key for key in body if key not in known), None)


def texts(parts: object) -> list[str]:
    """The texts in a content: itself, or `text` of each of its parts."""
    if isinstance(parts, str):
        return [parts]
    if not isinstance(parts, list):
        return []
    found = (each.get("text") for each in parts if isinstance(each, dict))
    return [text for text in found if isinstance(text, str)]


def tokens(all_texts: Iterable[str]) -> int:
    """The tokens of all of them."""
    return sum(map(count_tokens, all_texts))
