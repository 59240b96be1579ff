"""Which models' deployments rest, of what the workers tell each other."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from litellm.router import Router


def resting_models(router: Router, deployments: Iterable[str]) -> Mapping[str, int]:
    """Public model name → how many of its deployments rest; those the router does not know are left out."""
    return Counter(name for _, name in _known(router, deployments))


def resting_until(router: Router, deployments: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """Public model name → when the last of its deployments is back, Unix time.

    Args:
        deployments: id → (since, for how long), both in seconds, the first of Unix time.
    """
    until: dict[str, float] = {}
    for deployment, name in _known(router, deployments):
        since_s, rest_s = deployments[deployment]
        until[name] = max(until.get(name, 0.0), since_s + rest_s)
    return until


def _known(router: Router, deployments: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each that the router knows, with its public model name."""
    for deployment in deployments:
        if (known := router.get_deployment(model_id=deployment)) is not None:
            yield deployment, str(known.model_name)
