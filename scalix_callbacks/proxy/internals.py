"""LiteLLM's own list of what steers it."""

from litellm.types.utils import all_litellm_params


def internal_fields() -> frozenset[str]:
    """Every body field the installed LiteLLM takes for itself; callers may send none of them."""
    return frozenset(map(str, all_litellm_params))
