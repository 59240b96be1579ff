"""1.106.2: credentials that a provider refuses are tried again, though they stay refused.

Not repeated is what became an AuthenticationError or PermissionDeniedError. But an OpenAI-compatible
provider's 403 becomes an APIError, and whatever holds the words `invalid_request_error` (a 401 of DeepSeek,
or of OpenAI where a key is missing) a BadRequestError, both with the status they came with: these are
repeated like a 500, and the fallback waits for it.
"""

from typing import Any

from litellm.router import Router

REFUSED = (401, 403)

_original = Router.should_retry_this_error


def install() -> None:
    """By status, whatever class it became; everything else is LiteLLM's to decide."""
    Router.should_retry_this_error = should_retry_this_error


def should_retry_this_error(self: Router, error: Exception, *args: Any, **kwargs: Any) -> Any:
    """As LiteLLM's own: raises the error where it says no."""
    # Where no other model follows, another deployment may have other credentials; LiteLLM asks that one next.
    is_last_hope = not kwargs.get("regular_fallbacks") and len(kwargs.get("all_deployments") or ()) > 1
    if getattr(error, "status_code", None) in REFUSED and not is_last_hope:
        raise error  # which is how LiteLLM says no
    return _original(self, error, *args, **kwargs)
