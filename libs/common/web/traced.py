"""A span for each call that a server answers, but for those that look after it."""

from typing import Any, Final, cast

from litestar.enums import HttpMethod, ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from libs.common import tracing
from libs.common.tracing.tracing import TRACEPARENT

SILENT: Final = frozenset({"/healthz", "/readyz", "/metrics"})
ROUTE: Final = "reqrun.route"
"""Where the scope keeps the path of the route, as metrics and traces name it."""

_NO_ROUTE: Final = "none"
_METHODS: Final = frozenset(method.value for method in HttpMethod)
_HEADER: Final = TRACEPARENT.encode()


def traced(app: ASGIApp) -> ASGIApp:
    """`app` itself, unless tracing is on."""
    return Traced(app) if tracing.is_on() else app


class Traced:
    """An ASGI application around another."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call. Paths are the caller's words, so a span has the route's name instead."""
        if scope["type"] != ScopeType.HTTP or scope["path"] in SILENT:
            await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in _METHODS else "other"
        with tracing.call(method, _traceparent(scope)) as span:

            async def send_noting(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.note(status_code=message["status"])
                await send(message)

            try:
                await self._app(scope, receive, send_noting)
            finally:
                route = _route(scope)
                span.rename(f"{method} {route}")
                span.note(method=method, route=route)


def _traceparent(scope: Scope) -> str | None:
    """None where there is not exactly one (W3C trace context, 3.2)."""
    found = [value for name, value in scope["headers"] if name == _HEADER]
    return found[0].decode("latin-1") if len(found) == 1 else None


def _route(scope: Scope) -> str:
    known = cast("dict[str, Any]", scope)
    return str(known.get(ROUTE) or known.get("path_template") or _NO_ROUTE)
