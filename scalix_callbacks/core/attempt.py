"""Which try of which request a call is, by the id its client sent."""

import hashlib

import orjson

from scalix_callbacks.core.bodies import Screened
from scalix_callbacks.core.limits import MAX_ATTEMPTS, Attempt
from scalix_callbacks.core.routes import Endpoint


def attempt_of(client_request_id: str | None, endpoint: Endpoint, screened: Screened) -> Attempt | None:
    """From the app's `uuid:attempt-N`, with N from 1 to `MAX_ATTEMPTS`; None: it does not say so."""
    request, _, number = (client_request_id or "").rpartition(":attempt-")
    if not request or number not in _NUMBERS:
        return None
    body = hashlib.sha256(orjson.dumps([endpoint, screened.body]))
    if screened.options:
        body.update(orjson.dumps(screened.options))
    return Attempt(request, int(number), body.hexdigest()[:32])


_NUMBERS = tuple(str(number) for number in range(1, MAX_ATTEMPTS + 1))
