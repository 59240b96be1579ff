"""What the spans of LiteLLM's OpenTelemetry may tell: names, numbers and our ids, nothing that was said.

1.106.2 puts into them, message logging off or not: the user's id and address, the hash of its key, headers,
the provider's address, its words where it fails (which may quote the prompt), stack traces. So whatever is
not listed here does not leave the process.
"""

from collections.abc import Mapping
from typing import Any

from litellm.integrations.opentelemetry import OpenTelemetry
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import Status

TOLD = frozenset(
    {
        "code.function.name",
        "error.code",
        "error.llm_provider",
        "error.type",
        "gen_ai.operation.name",
        "gen_ai.request.max_tokens",
        "gen_ai.request.model",
        "gen_ai.response.model",
        "gen_ai.system",
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.total_tokens",
        "http.request.method",
        "http.response.status_code",
        "http.route",
        "litellm.call_id",
        "litellm.model_group",
        "llm.is_streaming",
        "llm.request.type",
        "scalix.call_id",
        "scalix.model_requested",
        "scalix.request_id",
        "scalix.tier",
    }
)
MAX_TEXT = 128
_litellms = OpenTelemetry._get_span_processor


def install() -> None:
    OpenTelemetry._get_span_processor = _get_span_processor


class Cleaned(SpanProcessor):
    """Passes spans on without what they must not tell."""

    def __init__(self, inner: SpanProcessor) -> None:
        self.inner = inner

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        self.inner.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        self.inner.on_end(cleaned(span))

    def shutdown(self) -> None:
        self.inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self.inner.force_flush(timeout_millis)


def cleaned(span: ReadableSpan) -> ReadableSpan:
    """The span with the listed attributes alone; without events, links and words of its status."""
    known = span.attributes or {}
    attributes: dict[str, Any] = {
        name: value[:MAX_TEXT] if isinstance(value, str) else value
        for name, value in known.items()
        if name in TOLD and isinstance(value, str | int | float | bool)
    }
    return ReadableSpan(
        name=_name(span.name, attributes),
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=attributes,
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _name(name: str, attributes: Mapping[str, Any]) -> str:
    """An address that is none of LiteLLM's routes may hold anything."""
    if "/" not in name or name.endswith(f" {attributes.get('http.route')}"):
        return name[:MAX_TEXT]
    return name.partition(" ")[0].partition("/")[0] or "request"


def _get_span_processor(self: OpenTelemetry, *args: Any, **kwargs: Any) -> SpanProcessor:
    return Cleaned(_litellms(self, *args, **kwargs))
