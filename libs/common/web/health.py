"""Health and metrics on the internal port.

`/healthz` says that the process turns over, and touches nothing else: a probe that asked the
database would turn its outage into restarts of everything. `/readyz` says whether it can work.
"""

from collections.abc import Awaitable, Callable

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from libs.common import metrics

Readiness = Callable[[], Awaitable[bool]]


def routes(is_ready: Readiness) -> list[HTTPRouteHandler]:
    """The three routes; `is_ready` must answer within a second or so."""

    @get("/healthz", include_in_schema=False, sync_to_thread=False)
    def healthz() -> Response[bytes]:
        return _answer(is_good=True)

    @get("/readyz", include_in_schema=False)
    async def readyz() -> Response[bytes]:
        return _answer(is_good=await is_ready())

    @get("/metrics", include_in_schema=False, sync_to_thread=False)
    def show_metrics() -> Response[bytes]:
        return Response(metrics.render(), media_type=metrics.CONTENT_TYPE)

    return [healthz, readyz, show_metrics]


def _answer(*, is_good: bool) -> Response[bytes]:
    body = b'{"status":"ok"}' if is_good else b'{"status":"unavailable"}'
    return Response(body, status_code=200 if is_good else 503, media_type="application/json")
