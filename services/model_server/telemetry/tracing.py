"""OpenTelemetry spans, one a request; nothing of OpenTelemetry is imported where none are asked for."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from parable.errors import UserError
from services.model_server.telemetry.record import RequestRecord

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

CLOSE_SECONDS = 2.0


class Tracing:
    """Sends spans."""

    def __init__(self, provider: "TracerProvider") -> None:
        """Send them by a provider."""
        self._provider = provider
        self._tracer = provider.get_tracer("parable.model_server")

    @classmethod
    def to(cls, endpoint: str | None) -> "Tracing | None":
        """Spans to an OTLP endpoint over HTTP, or none.

        Raises:
            UserError: there is an endpoint, and OpenTelemetry is not installed.
        """
        if endpoint is None:
            return None
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as error:
            raise UserError(
                f"Traces are to go to {endpoint}, and OpenTelemetry is not installed: pip install "
                "'parable[telemetry]', or leave otlp_endpoint out."
            ) from error
        provider = TracerProvider(resource=Resource.create({"service.name": "parable-model-server"}))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
        return cls(provider)

    @contextmanager
    def span(self, record: RequestRecord, headers: Mapping[str, str]) -> Iterator[None]:
        """The span of a request, a child of the caller's where its headers name one."""
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        parent = TraceContextTextMapPropagator().extract(dict(headers))
        with self._tracer.start_as_current_span("request", context=parent, kind=SpanKind.SERVER) as span:
            try:
                yield
            finally:
                span.update_name(f"{record.method} {record.route}")
                told = {
                    "http.request.method": record.method,
                    "http.route": record.route,
                    "gen_ai.request.model": record.model,
                    "gen_ai.usage.input_tokens": record.prompt_tokens,
                    "gen_ai.usage.output_tokens": record.generation_tokens,
                    "gen_ai.response.finish_reasons": tuple(record.finish),
                    "parable.request_id": record.request_id,
                    "parable.weights": record.weights,
                    "parable.queue_seconds": record.queue_seconds,
                    "error.type": record.error,
                }
                for name, value in told.items():
                    if value is not None:
                        span.set_attribute(name, value)

    def close(self) -> None:
        """Send what is left, within `CLOSE_SECONDS`: a collector that is down does not hold up the end."""
        # The exporter's own bound is for one attempt, of which it makes several.
        sending = threading.Thread(target=self._provider.shutdown, name="last spans", daemon=True)
        sending.start()
        sending.join(CLOSE_SECONDS)
