"""What is mended from outside is still there to be mended."""

import inspect

from litellm.litellm_core_utils import streaming_handler
from litellm.litellm_core_utils.litellm_logging import Logging


def test_litellm_still_writes_context_variables_where_a_stream_is_closed():
    """When it does no more, the repair can go."""
    assert hasattr(Logging, "_restore_correlation_context_if_unclaimed")
    assert "trace_id_var.set" in inspect.getsource(Logging._restore_correlation_context)
    assert "_restore_consumer_correlation_context" in inspect.getsource(
        streaming_handler.CustomStreamWrapper.aclose
    )
