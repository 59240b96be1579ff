"""1.106.2: each chunk of a stream sets attributes that its pydantic models do not declare.

Pydantic remembers how to set a declared attribute, and finds out anew each time for any other, by way of an
exception: a sixth of what a chunk costs.
"""

from typing import Any

from litellm.types.utils import ModelResponseStream, StreamingChoices
from pydantic import BaseModel

UNDECLARED: tuple[tuple[type[BaseModel], tuple[str, ...]], ...] = (
    (StreamingChoices, ("finish_reason", "index", "delta", "logprobs")),
    (ModelResponseStream, ("citations", "usage")),
    (
        ModelResponseStream,  # Gemini's
        (
            "vertex_ai_citation_metadata",
            "vertex_ai_grounding_metadata",
            "vertex_ai_safety_ratings",
            "vertex_ai_safety_results",
            "vertex_ai_url_context_metadata",
        ),
    ),
)


def install() -> None:
    """Pydantic remembers these as well."""
    for model, names in UNDECLARED:
        model.__pydantic_setattr_handlers__ |= dict.fromkeys(names, _set)


def _set(model: BaseModel, name: str, value: Any) -> None:
    """What pydantic itself does with an attribute it does not know, where a model allows it."""
    assert model.__pydantic_extra__ is not None
    model.__pydantic_extra__[name] = value
    model.__pydantic_fields_set__.add(name)
