"""1.106.2: the router pauses after the last retry, too: seconds before the next model, or the error."""

from typing import Any

from litellm.router import Router

_original = Router._time_to_sleep_before_retry


def install() -> None:
    """Done again, it changes nothing more."""
    Router._time_to_sleep_before_retry = _time_to_sleep_before_retry


def _time_to_sleep_before_retry(
    self: Router, e: Exception, remaining_retries: int, *args: Any, **kwargs: Any
) -> int | float:
    if remaining_retries < 1:
        return 0
    seconds: int | float = _original(self, e, remaining_retries, *args, **kwargs)
    return seconds
