"""LiteLLM's own limiter for the keys of the bench: a custom_auth that names limits and nothing else."""

from fastapi import Request
from litellm.proxy._types import ProxyException, UserAPIKeyAuth

from bench.keys import LIMITED_KEY, REFUSED_KEY

PLENTY = 1_000_000_000


async def authenticate(request: Request, api_key: str | None) -> UserAPIKeyAuth:
    """Per-minute limits, requests and tokens, as stock LiteLLM has them without a database of its own."""
    if api_key == LIMITED_KEY:
        return UserAPIKeyAuth(api_key=LIMITED_KEY, user_id="bench", rpm_limit=PLENTY, tpm_limit=PLENTY)
    if api_key == REFUSED_KEY:
        return UserAPIKeyAuth(api_key=REFUSED_KEY, user_id="refused", rpm_limit=1)
    raise ProxyException("The bench knows no such key.", "auth_error", None, 401)
