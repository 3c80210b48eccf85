"""A TCP proxy before a server, that can be slow, silent or cut while it runs.

It lives in a thread of its own, so that what runs in any event loop, and in none, can use it.
"""

import asyncio
import threading
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Self, TypeVar

import msgspec

_CHUNK: Final = 65_536
_SECONDS: Final = 10.0
_LOOPBACK: Final = "127.0.0.1"

Answer = TypeVar("Answer")


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of the bytes of one direction.

    `delay`: seconds for each piece that arrives. `is_silent`: they are swallowed, and the end of
    the stream too. `cut_at`: bytes at which the connection is reset, before they are passed on.
    """

    delay: float = 0.0
    is_silent: bool = False
    cut_at: bytes = b""


PASS: Final = Flow()
SILENT: Final = Flow(is_silent=True)


class Proxy:
    """`up` is the way to the server, `down` the way back; both may be set at any time.

    Both SILENT is a half-open connection: new ones are taken as well, and nothing is ever said.
    `cuts`: how many connections were reset at a `cut_at`.
    """

    def __init__(self, server_port: int) -> None:
        """`server_port`: of 127.0.0.1. It listens while `running`."""
        self.server_port = server_port
        self.port = 0
        self.up = self.down = PASS
        self.cuts = 0
        self._is_refusing = False
        self._loop = asyncio.new_event_loop()  # closed by `running`
        self._writers: set[asyncio.StreamWriter] = set()
        self._links: set[asyncio.Task[None]] = set()

    def cut(self) -> None:
        """Reset every connection, and each new one at once, until `mend`."""
        self._is_refusing = True
        self._do(self._reset_all())

    def mend(self) -> None:
        """Let everything pass again. What was swallowed is lost, so what is open is reset."""
        self.up = self.down = PASS
        self._do(self._reset_all())
        self._is_refusing = False

    @contextmanager
    def running(self) -> Iterator[Self]:
        """It listens on `port` until the block ends."""
        thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        thread.start()
        try:
            server = self._do(asyncio.start_server(self._take, _LOOPBACK, 0))
            self.port = server.sockets[0].getsockname()[1]
            try:
                yield self
            finally:
                self._do(self._end(server))
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join(_SECONDS)
            self._loop.close()

    def _do(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        """Run it in the proxy's thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_SECONDS)

    def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_refusing:
            writer.transport.abort()
            return
        # A task of our own: Python 3.11.7's streams complain about a cancelled one of theirs.
        link = self._loop.create_task(self._link(reader, writer))
        self._links.add(link)
        link.add_done_callback(self._links.discard)

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        self._writers.add(writer)
        try:
            far_reader, far_writer = await asyncio.open_connection(_LOOPBACK, self.server_port)
            writers.append(far_writer)
            self._writers.add(far_writer)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass_on("up", reader, far_writer))
                both.create_task(self._pass_on("down", far_reader, writer))
        except* OSError:
            pass  # cut, here or by one of the two
        finally:
            for one in writers:
                self._writers.discard(one)
                one.transport.abort()

    async def _pass_on(
        self, way: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        tail = b""
        while chunk := await reader.read(_CHUNK):
            flow: Flow = getattr(self, way)
            if flow.cut_at:
                seen = tail + chunk
                if flow.cut_at in seen:
                    self.cuts += 1
                    raise ConnectionAbortedError
                tail = seen[-len(flow.cut_at) :]
            await asyncio.sleep(flow.delay)
            if not flow.is_silent:
                writer.write(chunk)
                await writer.drain()
        if getattr(self, way).is_silent:
            await asyncio.Event().wait()  # nobody is told who hung up
        writer.close()

    async def _reset_all(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _end(self, server: asyncio.Server) -> None:
        server.close()
        links = list(self._links)
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)


def through(settings: Mapping[str, str], proxies: Iterable[Proxy]) -> dict[str, str]:
    """The same settings, led through the proxies of the servers that they name."""
    led = dict(settings)
    for proxy in proxies:
        straight, round_about = (f"{_LOOPBACK}:{p}" for p in (proxy.server_port, proxy.port))
        led = {name: text.replace(straight, round_about) for name, text in led.items()}
    return led
