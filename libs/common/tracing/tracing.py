"""The process's tracer: none until `start` is given an address."""

import importlib
from contextlib import AbstractContextManager
from typing import Final

from libs.common.tracing.spans import Headed, NoTracer, Span, Tracer

TRACEPARENT: Final = "traceparent"
"""https://www.w3.org/TR/trace-context/#traceparent-header."""

_OFF: Final = NoTracer()


class _Process:
    tracer: Tracer = _OFF


def start(process: str, url: str, ratio: float) -> None:
    """Trace from now on as `process`, to an OTLP/HTTP collector; nothing where `url` is empty.

    `url`: with its path, `http://collector:4318/v1/traces`. `ratio`: of traces, 0 to 1.
    """
    if not url:
        return
    # Loaded by who traces only: it takes a quarter of a second, and 8 MB of every process.
    exporting = importlib.import_module("libs.common.tracing.otel")
    _Process.tracer = exporting.OtelTracer(process, url, ratio)


def is_on() -> bool:
    """Whether spans go anywhere."""
    return _Process.tracer is not _OFF


def call(name: str, traceparent: str | None) -> AbstractContextManager[Span]:
    """See Tracer."""
    return _Process.tracer.call(name, traceparent)


def begin_request(name: str, request_id: str) -> AbstractContextManager[Span]:
    """See Tracer."""
    return _Process.tracer.begin_request(name, request_id)


def of_request(name: str, request_id: str) -> AbstractContextManager[Span]:
    """See Tracer."""
    return _Process.tracer.of_request(name, request_id)


def within(name: str) -> AbstractContextManager[Span]:
    """See Tracer."""
    return _Process.tracer.within(name)


def record(name: str, request_id: str, began_at: float) -> Span:
    """See Tracer."""
    return _Process.tracer.record(name, request_id, began_at)


async def carry(request: Headed) -> None:
    """Hand the open span on with a question to another service; a hook of the HTTP client.

    Never to a provider: what we call things is nobody else's business.
    """
    traceparent = _Process.tracer.traceparent()
    if traceparent is not None:
        request.headers[TRACEPARENT] = traceparent
