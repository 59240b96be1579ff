"""What a gateway on this machine says of itself."""

import http.client
import json
from dataclasses import dataclass
from typing import Any

TIMEOUT_S = 5.0
_MAX_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Answer:
    """Of GET /v1/health. `status` is None when nobody answered."""

    status: int | None
    text: str = ""

    @property
    def is_well(self) -> bool:
        return self.status == 200

    @property
    def body(self) -> Any:
        """The JSON; None when it is none."""
        try:
            return json.loads(self.text)
        except ValueError:
            return None


def ask_health(host: str, port: int) -> Answer:
    """Asks once; no answer within 5 s is one, too."""
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/v1/health", headers={"Connection": "close"})
        response = connection.getresponse()
        return Answer(response.status, response.read(_MAX_BYTES).decode("utf-8", errors="replace"))
    except (OSError, http.client.HTTPException):
        return Answer(None)
    finally:
        connection.close()
