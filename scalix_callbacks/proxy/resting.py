"""Which models' deployments rest, of what the workers tell each other."""

from collections import Counter
from collections.abc import Iterable, Mapping

from litellm.router import Router


def resting_models(router: Router, deployments: Iterable[str]) -> Mapping[str, int]:
    """Public model name → how many of its deployments rest; those the router does not know are left out."""
    found = (router.get_deployment(model_id=deployment) for deployment in deployments)
    return Counter(str(deployment.model_name) for deployment in found if deployment is not None)
