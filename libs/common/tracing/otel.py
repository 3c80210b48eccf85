"""OpenTelemetry's SDK, and the only file that knows it."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, TraceIdRatioBased
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from libs.common.errors import AppError
from libs.common.tracing.spans import ALLOWED, Field

EXPORT_SECONDS: Final = 3.0
_LONGEST_VALUE: Final = 128
_SEMANTIC: Final = {
    "status_code": "http.response.status_code",
    "method": "http.request.method",
    "route": "http.route",
}
"""Names that OpenTelemetry's conventions have for them; all others are `reqrun.<field>`."""


class OtelSpan:
    """A Span over the library's."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def note(self, **fields: Field) -> None:
        """See Span."""
        if not self._span.is_recording():
            return
        for name, value in fields.items():
            if name in ALLOWED and value is not None:
                known = value[:_LONGEST_VALUE] if isinstance(value, str) else value
                self._span.set_attribute(_SEMANTIC.get(name, f"reqrun.{name}"), known)

    def rename(self, name: str) -> None:
        """See Span."""
        self._span.update_name(name)


class OtelTracer:
    """A Tracer that exports in a thread of its own; a collector that is away costs spans only."""

    def __init__(self, process: str, url: str, ratio: float) -> None:
        """`ratio`: of traces. A caller's trace may ask for less, never for more."""
        self._ids = _Ids()
        by_ratio = TraceIdRatioBased(ratio)
        self.provider = TracerProvider(
            resource=Resource.create({SERVICE_NAME: f"reqrun-{process}"}),
            sampler=ParentBased(
                by_ratio,
                remote_parent_sampled=by_ratio,
                remote_parent_not_sampled=ALWAYS_OFF,
            ),
            id_generator=self._ids,
        )
        exporter = OTLPSpanExporter(endpoint=url, timeout=EXPORT_SECONDS)
        self.provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self.provider.get_tracer("reqrun")
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def call(self, name: str, traceparent: str | None) -> Iterator[OtelSpan]:
        """See Tracer. The caller's `tracestate` is text of theirs, and is not taken."""
        carrier = {} if traceparent is None else {"traceparent": traceparent}
        parent = self._propagator.extract(carrier, Context())
        with _entered(self._tracer.start_span(name, parent, SpanKind.SERVER)) as span:
            yield span

    @contextmanager
    def begin_request(self, name: str, request_id: str) -> Iterator[OtelSpan]:
        """See Tracer."""
        origin = trace.get_current_span()
        called = origin.get_span_context()
        links = [Link(called)] if called.is_valid else []
        self._ids.planned = ids = _ids_of(request_id)
        span = self._tracer.start_span(name, Context(), links=links)
        origin.add_link(_context(ids))
        with _entered(span) as entered:
            entered.note(request_id=request_id)
            yield entered

    @contextmanager
    def of_request(self, name: str, request_id: str) -> Iterator[OtelSpan]:
        """See Tracer."""
        with _entered(self._tracer.start_span(name, _parent(request_id))) as span:
            span.note(request_id=request_id)
            yield span

    @contextmanager
    def within(self, name: str) -> Iterator[OtelSpan]:
        """See Tracer."""
        with _entered(self._tracer.start_span(name)) as span:
            yield span

    def record(self, name: str, request_id: str, began_at: float) -> OtelSpan:
        """See Tracer."""
        return _Ended(
            self._tracer.start_span(
                name, _parent(request_id), start_time=int(began_at * 1_000_000_000)
            ),
            request_id,
        )

    def traceparent(self) -> str | None:
        """See Tracer."""
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        return carrier.get("traceparent")


class _Ended(OtelSpan):
    """A span whose time is over: `note` says all there is to say of it."""

    def __init__(self, span: trace.Span, request_id: str) -> None:
        super().__init__(span)
        super().note(request_id=request_id)

    def note(self, **fields: Field) -> None:
        """Say this, and let go of it."""
        super().note(**fields)
        self._span.end()


class _Ids(RandomIdGenerator):
    """Random ids, but the `planned` ones (trace, span) for the next span without a parent."""

    planned: tuple[int, int] | None = None

    def generate_trace_id(self) -> int:
        return self.planned[0] if self.planned else super().generate_trace_id()

    def generate_span_id(self) -> int:
        planned, self.planned = self.planned, None
        return planned[1] if planned else super().generate_span_id()


def _ids_of(request_id: str) -> tuple[int, int]:
    """Trace and first span of a request: 16 and 8 bytes of a digest."""
    digest = hashlib.sha256(b"reqrun trace " + request_id.encode()).digest()
    return int.from_bytes(digest[:16]), int.from_bytes(digest[16:24])


def _parent(request_id: str) -> Context:
    parent = NonRecordingSpan(_context(_ids_of(request_id)))
    return trace.set_span_in_context(parent, Context())


def _context(ids: tuple[int, int]) -> SpanContext:
    """Of the request's first span. The ratio decides by the trace's id, everywhere alike."""
    return SpanContext(*ids, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))


@contextmanager
def _entered(span: trace.Span) -> Iterator[OtelSpan]:
    """Open until the end of the block. Of an error its code is told, never its text."""
    with trace.use_span(
        span, end_on_exit=True, record_exception=False, set_status_on_exception=False
    ):
        try:
            yield OtelSpan(span)
        except BaseException as error:
            code = error.code if isinstance(error, AppError) else type(error).__name__
            span.set_attribute("error.type", code)
            span.set_status(Status(StatusCode.ERROR))
            raise
