"""What one provider's wire format consists of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from scalix_callbacks.demo_provider.dialects.recorded import Recorded
from scalix_callbacks.demo_provider.model_request import Endpoint, ModelRequest
from scalix_callbacks.demo_provider.usage import Usage
from scalix_callbacks.demo_provider.wire import AnswerHead, Wire


@dataclass(frozen=True, slots=True)
class Incoming:
    """One call as it came. Header names in lower case; `place` is what the path names, or ""."""

    headers: Mapping[str, str]
    query: Mapping[str, str]
    place: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one provider is spoken to, how it answers, and how it refuses.

    `paths` lie under `/NAME`, and as they are where `is_at_root`; `{place:path}` in them is `Incoming.place`.
    `credential` finds the key a call brings, None where there is none; the dialect without `credential` asks
    for no key. `read` understands a call or raises BadRequest for what the real provider would refuse. `wire`
    makes the answer from its head, the request, and the usage that will be told, if any.
    """

    name: str
    paths: tuple[str, ...]
    credential: Callable[[Mapping[str, str], Mapping[str, str]], str | None] | None
    read: Callable[[Incoming], ModelRequest]
    wire: Callable[[AnswerHead, ModelRequest, Usage | None], Wire]
    recorded: Recorded
    is_at_root: bool = False
    endpoint: Endpoint = Endpoint.CHAT


def bearer(headers: Mapping[str, str], query: Mapping[str, str]) -> str | None:
    """The key in `Authorization: Bearer KEY`."""
    kind, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() or None if kind.lower() == "bearer" else None
