"""What a call keeps for an upstream engine, and what its answer tells of the context it got."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

CONTEXT_HEADER = "x-scalix-smart-context"


@dataclass(slots=True)
class EngineRequest:
    """A call that came with options of the engine.

    Attributes:
        messages: without what the pack has added: an upstream engine adds it by itself.
        options: for an upstream engine alone; None: there is none.
        upstream_model: the model by which LiteLLM reaches an upstream engine that comes before the model
            asked for; None: there is none.
        savings: what the answer's text begins with; None: nothing.
        header: what the answer says in `x-scalix-smart-context`; None: nothing.
        is_upstream: whether the last try went to an upstream engine, which then tells its own savings.
    """

    messages: Sequence[Mapping[str, Any]]
    options: Mapping[str, Any] | None = None
    upstream_model: str | None = None
    savings: str | None = None
    header: str | None = None
    is_upstream: bool = False
