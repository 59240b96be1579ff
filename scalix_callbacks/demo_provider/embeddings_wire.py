"""Answers in the form of POST /v1/embeddings."""

import base64
import hashlib
import math
import struct
from collections.abc import Mapping
from typing import Any

from scalix_callbacks.demo_provider.model_request import ModelRequest
from scalix_callbacks.demo_provider.usage import Usage


def embeddings_body(request: ModelRequest, usage: Usage | None) -> Mapping[str, Any]:
    """One vector of length 1 for each input, the same for the same text."""
    data = []
    for index, text in enumerate(request.inputs):
        vector = _vector(text, request.dimensions)
        embedding = vector if request.encoding == "float" else _as_base64(vector)
        data.append({"object": "embedding", "index": index, "embedding": embedding})
    body: dict[str, Any] = {"object": "list", "data": data, "model": request.model}
    if usage is not None:
        body["usage"] = usage.as_embeddings()
    return body


def _vector(text: str, dimensions: int) -> list[float]:
    noise = hashlib.shake_128(text.encode("utf-8", "surrogatepass")).digest(dimensions)
    raw = [byte - 127.5 for byte in noise]  # never 0, so the norm is not either
    norm = math.sqrt(sum(value * value for value in raw))
    return [value / norm for value in raw]


def _as_base64(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
