"""The failures a developer may ask for."""

import pytest

from scalix_callbacks.core.errors import ErrorCategory, GatewayError
from scalix_callbacks.core.simulation import Simulation, simulation_of


def test_the_three_failures() -> None:
    """The contract names them."""
    assert [Simulation.NETWORK, Simulation.RATE_LIMIT, Simulation.SERVER] == [
        simulation_of(name) for name in ("network", "rate_limit", "server")
    ]


@pytest.mark.parametrize("value", ["", "Network", "network,server", "timeout", "\x00"])
def test_another_is_refused_with_the_names_there_are(value: str) -> None:
    """Also where it was sent twice."""
    with pytest.raises(GatewayError) as refused:
        simulation_of(value)

    assert ErrorCategory.INVALID_REQUEST is refused.value.category
    assert "X-Scalix-Simulate must be one of network, rate_limit, server, once" in refused.value.message
