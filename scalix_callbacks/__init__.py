"""Scalix Gateway: tiers, exact limits and a ledger for the stock LiteLLM proxy."""

__version__ = "0.1.0"
