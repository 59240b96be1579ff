"""1.106.2: a hang-up of a client that ended the worker, once in thousands.

When the client of a stream hangs up, LiteLLM writes the trace id of its own log lines back into the
context of a task that is being cancelled. There, on Python 3.11, the interpreter crashed. Each request has a
task of its own: nothing needs restoring. Where LiteLLM only writes if what it reads there is its own, it does
not even read: that is the same context.
"""

from litellm.litellm_core_utils.litellm_logging import Logging


def install() -> None:
    """Nothing is restored."""
    Logging._restore_correlation_context = _nothing
    Logging._restore_correlation_context_if_unclaimed = _nothing


def _nothing(logging: Logging) -> None:
    """In the place of what is left out."""
