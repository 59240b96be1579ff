"""1.106.2: LiteLLM calls hooks of its own around each call, for limits and budgets of its own keys.

Keys are ours here, and hold none of these; what the hooks prepare (rates of a key in three windows, sessions,
budgets by model) is counted and read by nobody.
"""

import litellm
from litellm.proxy.hooks import PROXY_HOOKS
from litellm.proxy.hooks.model_max_budget_limiter import PROXY_VirtualKeyModelMaxBudgetLimiter

UNUSED = (
    "parallel_request_limiter",
    "max_iterations_limiter",
    "max_budget_per_session_limiter",
    "prompt_cache_prediction",
)
"""Of LiteLLM's table of hooks. Those that stay check bodies and ids: cache control, skills, responses."""


def install() -> None:
    """They are not registered when LiteLLM starts up."""
    for name in UNUSED:
        PROXY_HOOKS.pop(name, None)
    litellm.callbacks[:] = [
        callback
        for callback in litellm.callbacks
        if not isinstance(callback, PROXY_VirtualKeyModelMaxBudgetLimiter)
    ]
