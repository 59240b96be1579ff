"""How long the client of one call waited for its answer."""

from scalix_callbacks.core.call import Call
from scalix_callbacks.core.errors import ErrorCategory
from scalix_callbacks.core.rollout_evidence import Triggers, waited_s

_JUDGED = Triggers()


def wait_of(call: Call, error: ErrorCategory | None, took_s: float) -> float | None:
    """In seconds; None: there was no answer, or its client left too early to tell.

    A stream is there with its first piece: how long it goes on is the length of its answer.

    Args:
        took_s: from the arrival to the end.
    """
    has_left = error is ErrorCategory.CLIENT_CLOSED
    if error is not None and not has_left:
        return None
    first_s = call.first_token_s if call.is_stream else None
    return waited_s(first_s, took_s, has_left or call.is_stream, _JUDGED)
