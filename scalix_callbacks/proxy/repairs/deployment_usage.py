"""1.106.2: after each call the router builds its deployment anew, to find that it has no limits to count."""

from typing import Any

from litellm.router import Router
from litellm.router_utils.pre_call_checks.io_token_rate_limit_check import deployment_has_io_token_limits

_original = Router._increment_deployment_usage
_KNOWN = "_scalix_counts_usage"


def install() -> None:
    """Looked at once for each router: deployments do not change while a worker runs."""
    Router._increment_deployment_usage = _increment_deployment_usage


async def _increment_deployment_usage(self: Router, **usage: Any) -> str | None:
    return await _original(self, **usage) if counts_usage(self) else None


def counts_usage(router: Router) -> bool:
    """Whether any deployment of the YAML has limits on tokens or requests per minute."""
    known: bool | None = router.__dict__.get(_KNOWN)
    if known is None:
        known = router.__dict__[_KNOWN] = any(map(_has_limits, router.model_list))
    return known


def _has_limits(deployment: dict[str, Any]) -> bool:
    places = (deployment, deployment.get("litellm_params") or {}, deployment.get("model_info") or {})
    limits = [place.get(name) for place in places for name in ("tpm", "rpm")]
    return any(limit is not None for limit in limits) or deployment_has_io_token_limits(deployment)
