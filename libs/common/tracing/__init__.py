"""Traces: where the time of a call and of a request went. Off unless an address is set.

A request outlives the call that brought it, may be attempted twice, and is found by whoever comes
first. So it has a trace of its own, named after it: the trace's id follows from the request's, and
nothing needs to be carried through the ledger or the broker (decision 0023). A call has its
caller's trace (W3C traceparent), and a link between the two.

Spans hold ids and codes, no content: `ALLOWED` is the list, and what is not on it is dropped. While
tracing is off each function here costs a call that does nothing.
"""

from libs.common.tracing.spans import ALLOWED, Headed, Span, Tracer
from libs.common.tracing.tracing import (
    begin_request,
    call,
    carry,
    is_on,
    of_request,
    record,
    start,
    within,
)

__all__ = [
    "ALLOWED",
    "Headed",
    "Span",
    "Tracer",
    "begin_request",
    "call",
    "carry",
    "is_on",
    "of_request",
    "record",
    "start",
    "within",
]
