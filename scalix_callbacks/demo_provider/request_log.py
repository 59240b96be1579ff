"""The last requests as they came, prompts and keys included."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

MAX_REQUESTS = 50
MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One request. `at` in Unix seconds; header names in lower case; `body` as received."""

    at: float
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def as_json(self) -> dict[str, Any]:
        """For the control API; `body` is decoded, or a text if it is no JSON."""
        return {
            "at": self.at,
            "method": self.method,
            "path": self.path,
            "headers": dict(self.headers),
            "body": _decoded(self.body),
        }


class RequestLog:
    """At most 50 requests and 64 MiB of bodies; the oldest leave first."""

    def __init__(self) -> None:
        self._requests: deque[LoggedRequest] = deque()
        self._bytes = 0

    def add(self, request: LoggedRequest) -> None:
        """Keep a request."""
        self._requests.append(request)
        self._bytes += len(request.body)
        while len(self._requests) > MAX_REQUESTS or self._bytes > MAX_BYTES:
            self._bytes -= len(self._requests.popleft().body)

    def newest_last(self) -> list[LoggedRequest]:
        """The kept requests."""
        return list(self._requests)

    def reset(self) -> None:
        """Forget all requests."""
        self._requests.clear()
        self._bytes = 0


def _decoded(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return body.decode("utf-8", "replace")
