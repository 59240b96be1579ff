"""Prometheus' own programs, which the tests of deploy/ run."""

from tests.deploy.tools import DEPLOY, tool

__all__ = ["DEPLOY", "program"]


def program(name: str) -> str:
    """Where it is."""
    return tool(name, "prometheus")
