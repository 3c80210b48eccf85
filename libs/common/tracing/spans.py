"""What the rest of the house may know of a span, and the tracer of those who trace nothing."""

from collections.abc import MutableMapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Final, Protocol, Self

ALLOWED: Final = frozenset(
    {
        # which thing
        "request_id", "attempt", "fence", "project_id", "account_id", "key_id", "connection_id",
        # in what state
        "state", "mode", "outcome", "error_code", "endpoint", "status_code", "method", "route",
        # how many
        "count", "attempts",
    }
)  # fmt: skip
"""Part of what may stand in a log line (libs/common/logs.py): ids and codes."""

Field = str | int | None


class Headed(Protocol):
    """A request to another service, as an HTTP client's hook sees it."""

    @property
    def headers(self) -> MutableMapping[str, str]:
        """What it will be sent with."""
        ...


class Span(Protocol):
    """A stretch of time in a trace."""

    def note(self, **fields: Field) -> None:
        """Say more about it. What is None or not on the list of allowed fields is left out."""
        ...

    def rename(self, name: str) -> None:
        """Call it something else: a route is known only once it was found."""
        ...


class Tracer(Protocol):
    """Makes spans. Each is open as long as its `with` lasts; one that is left by an error says so.

    A `name` is a constant.
    """

    def call(self, name: str, traceparent: str | None) -> AbstractContextManager[Span]:
        """Of a call that came in, in its caller's trace if that is a valid one."""
        ...

    def begin_request(self, name: str, request_id: str) -> AbstractContextManager[Span]:
        """The first of a request's own trace, linked with the call that is being answered."""
        ...

    def of_request(self, name: str, request_id: str) -> AbstractContextManager[Span]:
        """One more of a request's own trace."""
        ...

    def within(self, name: str) -> AbstractContextManager[Span]:
        """A part of the span that is open."""
        ...

    def record(self, name: str, request_id: str, began_at: float) -> Span:
        """One of a request that ends now and began at a time (seconds since 1970)."""
        ...

    def traceparent(self) -> str | None:
        """What to hand on to another service; None outside of every span."""
        ...


class NoSpan:
    """Nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return

    def note(self, **fields: Field) -> None:
        """See Span."""

    def rename(self, name: str) -> None:
        """See Span."""


_NOTHING: Final = NoSpan()


class NoTracer:
    """Traces nothing, at the price of a call."""

    def call(self, name: str, traceparent: str | None) -> NoSpan:  # noqa: ARG002  # see Tracer
        """See Tracer."""
        return _NOTHING

    def begin_request(self, name: str, request_id: str) -> NoSpan:  # noqa: ARG002  # as above
        """See Tracer."""
        return _NOTHING

    def of_request(self, name: str, request_id: str) -> NoSpan:  # noqa: ARG002  # as above
        """See Tracer."""
        return _NOTHING

    def within(self, name: str) -> NoSpan:  # noqa: ARG002  # as above
        """See Tracer."""
        return _NOTHING

    def record(self, name: str, request_id: str, began_at: float) -> NoSpan:  # noqa: ARG002  # as above
        """See Tracer."""
        return _NOTHING

    def traceparent(self) -> None:
        """See Tracer."""
        return
