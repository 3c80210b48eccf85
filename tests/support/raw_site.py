"""A small application behind our server, in the test's event loop, for tests over raw sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from deploy.local.ports import free_ports
from libs.common.web.app import serve
from libs.common.web.connections import Bounds
from tests.support.raw_http import RawConnection
from tests.support.waiting import until

LARGE: Final = 16 * 1024 * 1024
PIECE: Final = 32 * 1024


class App:
    """Answers everything with the number of its bytes; `/slow` only when `release` is set.

    `/large` answers LARGE bytes at once, `/stream` as many in pieces.
    """

    def __init__(self) -> None:
        self.release = asyncio.Event()
        self.calls = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One call."""
        self.calls += 1
        size, more = 0, scope["path"] != "/early"
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return
            size, more = size + len(message["body"]), message["more_body"]
        if scope["path"] == "/slow":
            await self.release.wait()
        body = bytes(LARGE) if scope["path"] in {"/large", "/stream"} else str(size).encode()
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        step = PIECE if scope["path"] == "/stream" else len(body)
        for at in range(0, len(body), step):
            more = at + step < len(body)
            piece = body[at : at + step]
            await send({"type": "http.response.body", "body": piece, "more_body": more})


class Site:
    """A server in the test's event loop."""

    def __init__(self, app: App, port: int) -> None:
        self.app, self.port = app, port

    async def open(self) -> RawConnection:
        return await RawConnection.open(self.port)

    async def is_up(self) -> bool:
        try:
            await (await self.open()).close()
        except ConnectionRefusedError:
            return False
        return True


@asynccontextmanager
async def running(bounds: Bounds) -> AsyncIterator[Site]:
    site, stop = Site(App(), free_ports()), asyncio.Event()
    serving = asyncio.ensure_future(serve(site.app, "127.0.0.1", site.port, bounds=bounds)(stop))
    try:
        await until(site.is_up)
        yield site
    finally:
        site.app.release.set()
        stop.set()
        await serving
