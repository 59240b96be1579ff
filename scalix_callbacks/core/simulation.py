"""Failures of providers that a developer may ask for (`X-Scalix-Simulate`)."""

from enum import StrEnum

from scalix_callbacks.core.errors import invalid

HEADER = "X-Scalix-Simulate"


class Simulation(StrEnum):
    """How the provider fails."""

    NETWORK = "network"
    RATE_LIMIT = "rate_limit"
    SERVER = "server"


def simulation_of(value: str) -> Simulation:
    """Raises GatewayError: INVALID_REQUEST, there is no such failure."""
    try:
        return Simulation(value)
    except ValueError:
        known = ", ".join(Simulation)
        raise invalid(
            f"{HEADER} must be one of {known}, once. Correct it or leave it out.", param=HEADER
        ) from None
