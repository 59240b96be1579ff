"""1.106.2: LiteLLM computes what a call cost for a header of its answer, which users here never see.

What a call cost is our ledger's to know.
"""

from typing import Any

from litellm.litellm_core_utils.litellm_logging import Logging

from scalix_callbacks.core.call import CURRENT_CALL
from scalix_callbacks.proxy.repairs.success_log import is_heard

_original = Logging.response_cost_calculator


def install() -> None:
    """Computed for the operator, who sees the header, and where somebody logs calls."""
    Logging.response_cost_calculator = _response_cost_calculator


def _response_cost_calculator(self: Logging, *args: Any, **kwargs: Any) -> float | None:
    call = CURRENT_CALL.get()
    if call is not None and call.caller is not None and not call.caller.is_operator and not is_heard(self):
        return None
    cost: float | None = _original(self, *args, **kwargs)
    return cost
