"""A simulator behind a real HTTP server, in the test's own loop."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn

from services.executor.simulator.app import create
from tests.support.waiting import until


@asynccontextmanager
async def simulator(
    *, has_controls: bool = True, call_log: Path | None = None
) -> AsyncIterator[str]:
    """Its origin, `http://127.0.0.1:<port>`."""
    app = create(has_controls=has_controls, call_log=call_log)
    config = uvicorn.Config(app, log_config=None, lifespan="on", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        await until(lambda: server.started)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving
