"""1.106.2: LiteLLM looks, after each call of a model without a price, for the reason, up to three times.

It warns of it in its log, each time anew. The reason is the model's entry in the price list, which does not
change while a worker runs.
"""

from typing import Any

from litellm.litellm_core_utils.litellm_logging import Logging

from scalix_callbacks.proxy.repairs.success_log import is_heard

MAX_MODELS = 1_000

_original = Logging._record_zero_cost_diagnostic
_told: set[tuple[object, object]] = set()


def install() -> None:
    """Looked for at the first call of each model, or where somebody logs what is found."""
    Logging._record_zero_cost_diagnostic = _record_zero_cost_diagnostic


def _record_zero_cost_diagnostic(self: Logging, *args: Any, **kwargs: Any) -> None:
    model = (self.model, self.model_call_details.get("custom_llm_provider"))
    if model in _told and not is_heard(self):
        return
    if len(_told) < MAX_MODELS:
        _told.add(model)
    _original(self, *args, **kwargs)
