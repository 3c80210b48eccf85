"""A small OTLP/HTTP collector on a real socket: keeps what it is sent, and reads it."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Final

import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Exported
from opentelemetry.proto.trace.v1.trace_pb2 import Status

PATH: Final = "/v1/traces"


class Seen(msgspec.Struct, frozen=True):
    """A span as it was exported; ids in hexadecimal. `links`: (trace, span)."""

    process: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    has_failed: bool
    attributes: dict[str, str | int]
    links: list[tuple[str, str]]


class Collector:
    """`bodies`: what came, as it came."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.url = ""

    @property
    def spans(self) -> list[Seen]:
        """All of them, in the order they came."""
        return [span for body in tuple(self.bodies) for span in _read(body)]

    def of(self, name: str, **attributes: str | int) -> list[Seen]:
        """Those of a name, with these of our attributes."""
        wanted = {f"reqrun.{key}": value for key, value in attributes.items()}
        return [
            span
            for span in self.spans
            if span.name == name and wanted.items() <= span.attributes.items()
        ]


def _read(body: bytes) -> Iterator[Seen]:
    request = ExportTraceServiceRequest.FromString(body)
    for part in request.resource_spans:
        names = {one.key: one.value.string_value for one in part.resource.attributes}
        for scope in part.scope_spans:
            yield from (_seen(names["service.name"], span) for span in scope.spans)


def _seen(process: str, span: Exported) -> Seen:
    return Seen(
        process=process.removeprefix("reqrun-"),
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        has_failed=span.status.code == Status.STATUS_CODE_ERROR,
        attributes={
            one.key: one.value.string_value or one.value.int_value for one in span.attributes
        },
        links=[(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
    )


@contextmanager
def collector() -> Iterator[Collector]:
    """Listening until the end of the block."""
    kept = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == PATH
            kept.bodies.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(HTTPStatus.OK)
            self.send_header("content-type", "application/x-protobuf")
            self.end_headers()
            self.wfile.write(ExportTraceServiceResponse().SerializeToString())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the library's
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept.url = f"http://127.0.0.1:{server.server_port}{PATH}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
