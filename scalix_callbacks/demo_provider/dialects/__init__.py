"""The wire formats of the providers, each an entry of a table."""

from scalix_callbacks.demo_provider.dialects.table import DIALECTS, PLAIN

__all__ = ["DIALECTS", "PLAIN"]
