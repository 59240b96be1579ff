"""What leaves the process in spans."""

from litellm.integrations.opentelemetry import OpenTelemetry
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.trace import Status, StatusCode, set_span_in_context, use_span

from scalix_callbacks.core.call import Call
from scalix_callbacks.core.caller import Caller, Role
from scalix_callbacks.proxy import spans
from scalix_callbacks.proxy.cleaned_spans import Cleaned
from scalix_callbacks.proxy.spans import describe


class Exporter:
    def __init__(self) -> None:
        self.told: list[ReadableSpan] = []

    def export(self, batch: list[ReadableSpan]) -> SpanExportResult:
        self.told += batch
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None: ...

    def force_flush(self, timeout_millis: int = 0) -> bool:
        return True


def exported(exporter: Exporter) -> tuple[TracerProvider, Cleaned]:
    cleaned = Cleaned(SimpleSpanProcessor(exporter))  # type: ignore[arg-type]  # it has all that is asked of one
    provider = TracerProvider()
    provider.add_span_processor(cleaned)
    return provider, cleaned


def test_only_what_is_listed_leaves() -> None:
    """No words of a provider, no events, no addresses; where a span belongs stays known."""
    exporter = Exporter()
    provider, cleaned = exported(exporter)
    tracer = provider.get_tracer("t")
    parent = tracer.start_span("GET /secret/path")
    span = tracer.start_span("llm", set_span_in_context(parent))
    span.set_attributes(
        {"gen_ai.request.model": "m" * 500, "error.message": "PROMPT", "error.stack_trace": "x"}
    )
    span.record_exception(ValueError("PROMPT"))
    span.set_status(Status(StatusCode.ERROR, "PROMPT"))
    span.end()
    parent.end()
    inner, outer = exporter.told

    assert {"gen_ai.request.model": "m" * 128} == inner.attributes
    assert (StatusCode.ERROR, None, ()) == (inner.status.status_code, inner.status.description, inner.events)
    assert inner.parent is not None and outer.context is not None
    assert outer.context.span_id == inner.parent.span_id
    assert "GET" == outer.name
    assert cleaned.force_flush()
    cleaned.shutdown()


def test_a_route_is_a_name() -> None:
    """LiteLLM's own table has it."""
    exporter = Exporter()
    provider, _ = exported(exporter)
    span = provider.get_tracer("t").start_span("POST /v1/chat/completions")
    span.set_attribute("http.route", "/v1/chat/completions")
    span.end()

    assert "POST /v1/chat/completions" == exporter.told[0].name


def test_a_span_carries_our_ids() -> None:
    """By them a trace here and one there are found from each other."""
    exporter = Exporter()
    provider, _ = exported(exporter)
    span = provider.get_tracer("t").start_span("llm")
    call = Call(request_id="r1", caller=Caller(id="ada", tier="pro", role=Role.USER), model="gpt-4.1")
    describe(call)
    with use_span(span, end_on_exit=True):
        describe(call)

    assert {
        "scalix.request_id": "r1",
        "scalix.tier": "pro",
        "scalix.model_requested": "gpt-4.1",
    } == exporter.told[0].attributes


def test_litellms_own_logger_is_taken(monkeypatch) -> None:
    """Whatever processor it makes passes through the list."""
    monkeypatch.setattr(OpenTelemetry, "_get_span_processor", OpenTelemetry._get_span_processor)
    spans.install()
    spans.install()
    logger = OpenTelemetry.__new__(OpenTelemetry)
    logger.OTEL_EXPORTER, logger.OTEL_ENDPOINT, logger.OTEL_HEADERS = Exporter(), None, None
    made = logger._get_span_processor()

    assert isinstance(made, Cleaned)
    assert not isinstance(made.inner, Cleaned)
