"""Litestar with our defaults, and uvicorn as one of a process's loops."""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, Final

import uvicorn
from litestar import Litestar
from litestar.types import ControllerRouterHandler

from libs.common.runtime import Loop
from libs.common.web.errors import to_response

INTERNAL_BODY_BYTES: Final = 1024 * 1024
KEEP_ALIVE: Final = timedelta(seconds=75)


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


def serve(app: Any, host: str, port: int, *, grace: timedelta = timedelta(seconds=10)) -> Loop:
    """A loop that serves `app` until it is asked to stop, then gives open calls `grace`."""

    async def loop(stop: asyncio.Event) -> None:
        server = _Server(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                loop="none",
                http="httptools",
                lifespan="on" if isinstance(app, Litestar) else "off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=4096,
                timeout_keep_alive=int(KEEP_ALIVE.total_seconds()),
                timeout_graceful_shutdown=int(grace.total_seconds()),
            )
        )
        serving = asyncio.create_task(server.serve())
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            server.should_exit = True
            stopping.cancel()
        await serving

    return loop


class _Server(uvicorn.Server):
    """Leaves signals to `runtime`: one process, one place that hears them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
