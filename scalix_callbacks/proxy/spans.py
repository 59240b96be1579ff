"""OpenTelemetry's spans of a request, which LiteLLM makes."""

from opentelemetry.trace import get_current_span

from scalix_callbacks.core.call import Call


def install() -> None:
    """Before LiteLLM makes its logger. Done again, it changes nothing more."""
    try:
        from scalix_callbacks.proxy import cleaned_spans
    except ModuleNotFoundError:
        return  # without the SDK LiteLLM makes none
    cleaned_spans.install()


def describe(call: Call) -> None:
    """Puts our ids and the tier on the span of the request, where there is one."""
    span = get_current_span()
    if not span.is_recording():
        return
    told = {
        "scalix.request_id": call.request_id,
        "scalix.call_id": None if call.ask is None else call.ask.call_id,
        "scalix.tier": None if call.caller is None else call.caller.tier,
        "scalix.model_requested": call.model_requested or None,
    }
    span.set_attributes({name: value for name, value in told.items() if value is not None})
