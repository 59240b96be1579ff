"""What of LiteLLM is mended from outside, each with the version it was seen in; never on disk."""

from litellm.litellm_core_utils.litellm_logging import Logging


def install() -> None:
    """Before the first call.

    1.106.2: when the client of a stream hangs up, LiteLLM writes the trace id of its own log lines back into
    the context variables of a task that is being cancelled. There, on Python 3.11, one hang-up in thousands
    ended the worker by a segmentation fault. Each request has a task of its own: nothing needs restoring.
    """
    Logging._restore_correlation_context = _nothing
    Logging._restore_correlation_context_if_unclaimed = _nothing


def _nothing(logging: Logging) -> None:
    """In the place of what is left out."""
