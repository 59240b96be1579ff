"""Scalix Gateway: tiers, exact limits and a ledger for the stock LiteLLM proxy."""

from typing import Any

__version__ = "0.1.0"

_PLAIN = ("cost_calculator", "error_handler", "rate_limiter", "usage_tracker")


def __getattr__(name: str) -> Any:
    """What a plain script imports; loaded when it is first named, so that nobody else waits for it."""
    if name not in _PLAIN:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from scalix_callbacks import plain

    return getattr(plain, name)
