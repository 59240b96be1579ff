"""Which answers may be kept and given again, to whom, and what a request says of it.

Deterministic calls alone: chat and completions with `temperature: 0` said, one answer, no tools (their
answers are steps of a conversation with the world, which changes), no files, no audio.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import orjson

from scalix_callbacks.core.caller import Caller
from scalix_callbacks.core.errors import invalid
from scalix_callbacks.core.routes import Endpoint
from scalix_callbacks.core.tiers import CacheSharing, Tier

MAX_TTL_S = 3_600
"""The longest an answer is kept, and how long where a request says nothing (spec F5)."""

_CACHED = frozenset({Endpoint.CHAT, Endpoint.COMPLETIONS})
_CHANGING = ("tools", "functions", "modalities", "audio", "files", "scalix_options")


@dataclass(slots=True)
class CachePlan:
    """How the answer of one call may come from the cache, and go there.

    Attributes:
        scope: among whom it is shared; by the authenticated caller alone.
        author: the account that asks, with whom what it stored is erased.
        request: SHA-256 of all that the caller asked.
        reads, stores: whether an answer is looked for, and whether this one is kept.
        ttl_s: for how long.
        max_age_s: how old an answer may be at most; None: as old as they get.
        is_hit: the answer came from the cache.
        model_used: who made that answer.
        answer: what LiteLLM wants kept, (its key, its value).
        is_confirmed: the call ended well: what it answered may be kept.
    """

    scope: str
    author: str
    request: str
    reads: bool = True
    stores: bool = True
    ttl_s: int = MAX_TTL_S
    max_age_s: int | None = None
    is_hit: bool = False
    model_used: str | None = None
    answer: tuple[str, Any] | None = None
    is_confirmed: bool = False


def plan_of(
    caller: Caller,
    tier: Tier | None,
    endpoint: Endpoint,
    body: Mapping[str, Any],
    *,
    field: Mapping[str, Any] | None,
    header: str | None,
) -> CachePlan | None:
    """The plan of a call; None: the cache has nothing to do with it.

    Args:
        tier: None: the operator's own call.
        body: as the caller asked it, `cache` taken out.
        field: `cache` of the body, checked.
        header: `Cache-Control`.

    Raises:
        GatewayError: INVALID_REQUEST for a `Cache-Control` that cannot be read.
    """
    asked = _asked_by(header) | dict(field or {})
    sharing = CacheSharing.OWN if tier is None else tier.cache
    if sharing is CacheSharing.OFF or not is_deterministic(endpoint, body):
        return None
    max_age_s = asked.get("max-age")
    reads = not asked.get("no-cache", False) and max_age_s != 0
    stores = not asked.get("no-store", False)
    if not reads and not stores:
        return None
    shared = tier is not None and sharing is CacheSharing.SHARED
    return CachePlan(
        scope=shared_scope(tier.name) if tier is not None and shared else own_scope(caller.id),
        author=caller.id,
        request=sha256(
            orjson.dumps([endpoint.value, body], option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
        ).hexdigest(),
        reads=reads,
        stores=stores,
        ttl_s=asked.get("ttl", MAX_TTL_S),
        max_age_s=max_age_s,
    )


def is_deterministic(endpoint: Endpoint, body: Mapping[str, Any]) -> bool:
    """Whether the same request may be answered by the same answer."""
    return (
        endpoint in _CACHED
        and body.get("temperature") == 0
        and not isinstance(body["temperature"], bool)
        and body.get("n") in (None, 1)
        and not any(body.get(name) for name in _CHANGING)
    )


def own_scope(account_id: str) -> str:
    return f"own:{account_id}"


def shared_scope(tier: str) -> str:
    return f"tier:{tier}"


def scopes_of(account_id: str, tiers: Iterable[str]) -> tuple[str, ...]:
    """Wherever answers of this account may lie."""
    return (own_scope(account_id), *map(shared_scope, tiers))


def cache_problem(value: Any) -> str | None:
    """What a body's `cache` must be; None: it is. LiteLLM's own fields of it are not open to callers."""
    told = f"an object of no-cache and no-store (true or false) and ttl (whole seconds from 1 to {MAX_TTL_S})"
    if not isinstance(value, dict) or not value.keys() <= {"no-cache", "no-store", "ttl"}:
        return told
    if any(not isinstance(value[name], bool) for name in ("no-cache", "no-store") if name in value):
        return told
    ttl = value.get("ttl", 1)
    fits = isinstance(ttl, int) and not isinstance(ttl, bool) and 1 <= ttl <= MAX_TTL_S
    return None if fits else told


def _asked_by(header: str | None) -> dict[str, Any]:
    """What `Cache-Control` says that concerns us (RFC 9111, 5.2.1)."""
    asked: dict[str, Any] = {}
    for directive in (header or "").lower().split(","):
        name, _, value = directive.strip().partition("=")
        if name in ("no-cache", "no-store"):
            asked[name] = True
        elif name == "max-age":
            seconds = value.strip('"')
            if not (seconds.isascii() and seconds.isdigit() and len(seconds) <= 10):
                raise invalid(
                    "The header cache-control must say max-age in whole seconds. Correct it.",
                    param="cache-control",
                )
            asked[name] = int(seconds)
    return asked
