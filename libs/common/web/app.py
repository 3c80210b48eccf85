"""Litestar with our defaults, and uvicorn as one of a process's loops."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

import uvicorn
from litestar import Litestar
from litestar.types import ControllerRouterHandler

from libs.common.runtime import Loop
from libs.common.web.connections import Bounds, connection_class, cut_the_late
from libs.common.web.errors import to_response
from libs.common.web.server import Server
from libs.common.web.traced import traced

INTERNAL_BODY_BYTES: Final = 1024 * 1024
KEEP_ALIVE: Final = timedelta(seconds=75)
BOUNDS: Final = Bounds()


def create(handlers: Sequence[ControllerRouterHandler], **options: Any) -> Litestar:
    """An application whose every error is JSON in our envelope."""
    return Litestar(
        list(handlers),
        openapi_config=None,
        logging_config=None,  # libs.common.logs has set it up, and is the only one to
        exception_handlers={Exception: to_response},
        request_max_body_size=INTERNAL_BODY_BYTES,
        **options,
    )


def serve(
    app: Any,
    host: str,
    port: int,
    *,
    grace: timedelta = timedelta(seconds=10),
    bounds: Bounds = BOUNDS,
) -> Loop:
    """A loop that serves `app` until it is asked to stop, then gives open calls `grace`.

    `bounds`: what a connection may cost before its head is there.
    """

    async def loop(stop: asyncio.Event) -> None:
        server = Server(_config(app, host, port, grace, bounds))
        serving = asyncio.create_task(server.serve())
        stopping = asyncio.create_task(stop.wait())
        cutting = asyncio.create_task(cut_the_late(server.server_state.connections, bounds))
        serving.add_done_callback(lambda _: cutting.cancel())
        try:
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            server.should_exit = True
            stopping.cancel()
        await serving

    return loop


def _config(app: Any, host: str, port: int, grace: timedelta, bounds: Bounds) -> uvicorn.Config:
    return uvicorn.Config(
        traced(app),
        host=host,
        port=port,
        loop="none",
        http=connection_class(bounds),
        ws="none",
        lifespan="on" if isinstance(app, Litestar) else "off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=4096,
        timeout_keep_alive=int(KEEP_ALIVE.total_seconds()),
        timeout_graceful_shutdown=int(grace.total_seconds()),
    )
