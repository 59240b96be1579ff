"""An OpenAI-compatible provider that needs no key and no network, and does what it is told."""

from scalix_callbacks.demo_provider.app import create_app
from scalix_callbacks.demo_provider.script import Script
from scalix_callbacks.demo_provider.tally import Tally

__all__ = ["Script", "Tally", "create_app"]
