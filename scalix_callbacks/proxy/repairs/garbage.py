"""1.106.2: an answer that is no JSON fails with the status it came with, a 200.

So it is not tried again; and its deployment rests at once for everybody, as it does by refused credentials.
"""

import litellm

_original = litellm.should_retry


def install() -> None:
    """It is a failure of its provider like a 500. LiteLLM asks in both places whether a status passes."""
    litellm.should_retry = should_retry


def should_retry(status_code: int) -> bool:
    return status_code < 400 or _original(status_code)
