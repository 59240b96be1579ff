"""What every answer carries in its headers, refusal or not, stream or not (spec D1)."""

from scalix_callbacks.core.call import Call
from scalix_callbacks.core.rate_headers import rate_headers


def answer_headers(call: Call) -> dict[str, str]:
    """By what is known of the call when its answer begins."""
    headers = {"x-scalix-request-id": call.request_id, **call.headers}
    headers |= rate_headers(call.figures, call.figures_at_s)
    if call.cache is not None:
        headers["x-scalix-cache"] = "hit" if call.cache.is_hit else "miss"
    if call.caller is not None and call.caller.tier is not None:
        headers["x-scalix-tier"] = call.caller.tier
    if call.prompt is not None:
        headers |= call.prompt.headers
    return headers
